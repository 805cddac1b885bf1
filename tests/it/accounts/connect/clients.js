// The unmodified twilio library of Node: a developer keeps its connect apps and acts for a user, and the user sees what it has allowed.
const twilio = require("twilio");
const RequestClient = require("twilio/lib/base/RequestClient");

const [node, developer, secret, user, userSecret, app, other, connected] = process.argv.slice(-8);

class Here extends (RequestClient.default || RequestClient) {
  request(options) {
    const url = new URL(options.uri);
    return super.request({ ...options, uri: node + url.pathname + url.search });
  }
}

const client = (name, token) => twilio(name, token, { httpClient: new Here() });

const code = (promise) => promise.then(() => "no error", (error) => `${error.status}/${error.code}`);

function check(what, found, expected) {
  const same = JSON.stringify(found) === JSON.stringify(expected);
  console.log(`${what}: ${JSON.stringify(found)}${same ? "" : ` instead of ${JSON.stringify(expected)}`}`);
  if (!same) process.exit(1);
}

async function main() {
  const offering = client(developer, secret);
  check("across pages", (await offering.connectApps.list({ pageSize: 1 })).map((one) => one.sid), [other, app]);
  const changed = await offering.connectApps(app).update({ friendlyName: "Renamed", permissions: ["get-all", "post-all"] });
  check("changed", [changed.friendlyName, changed.permissions], ["Renamed", ["get-all", "post-all"]]);
  check("deleted", await offering.connectApps(other).remove(), true);
  check("gone", await code(offering.connectApps(other).fetch()), "404/20404");

  const allowing = client(user, userSecret);
  const allowed = await allowing.authorizedConnectApps.list();
  check("allowed", allowed.map((one) => [one.connectAppSid, one.connectAppFriendlyName]), [[app, "Renamed"]]);
  check("as", (await allowing.authorizedConnectApps(app).fetch()).permissions, ["get-all", "post-all"]);

  const acting = client(connected, secret);
  const made = await acting.applications.create({ friendlyName: "made", voiceUrl: "https://app.example/voice" });
  check("made", made.accountSid, connected);
  check("lists", (await acting.applications.list()).map((one) => one.sid), [made.sid]);
  check("by its own name", (await offering.api.v2010.accounts(connected).applications.list()).length, 1);
  check("no keys", await code(acting.newKeys.create()), "403/20003");
  check("nothing above", await code(acting.api.v2010.accounts(user).fetch()), "404/20404");
  check("deletes", await acting.applications(made.sid).remove(), true);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
