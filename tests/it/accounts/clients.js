// Drives the API with the unmodified twilio library of Node, pointed at a node. Prints what it found out; ends with 1 where that is wrong.
const twilio = require("twilio");
const RequestClient = require("twilio/lib/base/RequestClient");

const [node, account, token, number] = process.argv.slice(-4);

class Here extends (RequestClient.default || RequestClient) {
  request(options) {
    const url = new URL(options.uri);
    return super.request({ ...options, uri: node + url.pathname + url.search });
  }
}

const client = (name, secret, accountSid = name) => twilio(name, secret, { accountSid, httpClient: new Here() });

const code = (promise) => promise.then(() => "no error", (error) => `${error.status}/${error.code}`);

function check(what, found, expected) {
  const same = JSON.stringify(found) === JSON.stringify(expected);
  console.log(`${what}: ${JSON.stringify(found)}${same ? "" : ` instead of ${JSON.stringify(expected)}`}`);
  if (!same) process.exit(1);
}

async function main() {
  const top = client(account, token);
  const accounts = top.api.v2010.accounts;

  const subs = [];
  for (let n = 0; n < 3; n++) subs.push(await accounts.create({ friendlyName: `node ${n}` }));
  const mine = new Set(subs.map((sub) => sub.sid));
  const listed = (await accounts.list({ pageSize: 2 })).map((one) => one.sid).filter((sid) => mine.has(sid));
  check("accounts across pages", listed, subs.map((sub) => sub.sid).reverse());
  check("status", (await accounts(subs[0].sid).update({ status: "suspended" })).status, "suspended");
  const sub = client(subs[0].sid, subs[0].authToken);
  check("its token", await code(sub.applications.list()), "403/20005");
  check("closed", (await accounts(subs[0].sid).update({ status: "closed" })).status, "closed");
  check("another's", await code(client(subs[1].sid, subs[1].authToken).api.v2010.accounts(account).fetch()), "404/20404");

  const key = await top.newKeys.create({ friendlyName: "node" });
  check("a key", (await client(key.sid, key.secret, account).api.v2010.accounts(account).fetch()).sid, account);
  check("is revoked", await top.keys(key.sid).remove(), true);
  check("and gone", await code(top.keys(key.sid).fetch()), "404/20404");

  const app = await top.applications.create({ friendlyName: "node", voiceUrl: "https://app.example/" });
  check("application", (await top.applications(app.sid).update({ voiceMethod: "GET" })).voiceMethod, "GET");
  const taken = await top.incomingPhoneNumbers.create({ phoneNumber: number, voiceApplicationSid: app.sid });
  check("number", (await top.incomingPhoneNumbers.list({ phoneNumber: number })).map((one) => one.sid), [taken.sid]);
  check("not twice", await code(top.incomingPhoneNumbers.create({ phoneNumber: number })), "400/21422");
  check("released", await top.incomingPhoneNumbers(taken.sid).remove(), true);
  check("deleted", await top.applications(app.sid).remove(), true);
  check("wrong token", await code(client(account, "wrong").keys.list()), "401/20003");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
