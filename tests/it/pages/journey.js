// What a developer and a user do with one another, in a real browser and by REST: `node -e … -- JSON`.
const assert = require("node:assert/strict");
const crypto = require("node:crypto");
const fs = require("node:fs");
const http = require("node:http");
const os = require("node:os");
const path = require("node:path");
const { chromium } = require("playwright-core");

const { url, user, developer, screenshots } = JSON.parse(process.argv[1]);
process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0"; // The node's certificate signs itself.
process.removeAllListeners("warning");

const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const wide = { width: 1024, height: 768 };
const narrow = { width: 360, height: 740 };

/** A code of an authenticator (RFC 6238), by another hand than the node's. */
function code(secret, at) {
    const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    const bits = [...secret].map((letter) => letters.indexOf(letter).toString(2).padStart(5, "0")).join("");
    const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
    const counter = Buffer.alloc(8);
    counter.writeBigUInt64BE(BigInt(Math.floor(at / 30_000)));
    const mac = crypto.createHmac("sha1", key).update(counter).digest();
    const number = mac.readUInt32BE(mac[19] & 15) & 0x7fffffff;
    return String(number % 1_000_000).padStart(6, "0");
}

/** The developer's server: remembers who was sent there. */
function application() {
    const visits = [];
    const server = http.createServer((request, response) => {
        if (request.url.startsWith("/back")) {
            visits.push({ url: new URL(request.url, "http://x"), headers: request.headers });
            // On to another origin, as many applications lead from where they are called back.
            response.writeHead(302, { location: `http://localhost:${server.address().port}/thanks` });
            return void response.end();
        }
        response.setHeader("content-type", "text/html; charset=utf-8");
        const framed = `<!doctype html><title>x</title><iframe src="${url}/connect/sign-in"></iframe>`;
        response.end(request.url === "/frame" ? framed : "<!doctype html><title>Thank you</title><h1>Thank you</h1>");
    });
    return new Promise((resolve) => {
        server.listen(0, "127.0.0.1", () => resolve({ server, visits, url: `http://127.0.0.1:${server.address().port}` }));
    });
}

/** A request of the developer's, by the ways that existing clients have. */
async function ask(name, method, where, form) {
    const authorization = `Basic ${Buffer.from(`${name}:${developer.token}`).toString("base64")}`;
    const body = form && new URLSearchParams(form);
    const response = await fetch(`${url}${where}`, { method, headers: { authorization }, body });
    return { status: response.status, body: await response.text() };
}

/** How long it takes until a request is refused, in milliseconds. */
async function untilRefused(name, method, where) {
    const began = performance.now();
    while (performance.now() - began < 30_000) {
        const { status } = await ask(name, method, where);
        if (status !== 200) return { took: performance.now() - began, status };
    }
    assert.fail("it is never refused");
}

/** What everybody is owed: names for what there is, contrast, order; and no sideways scrolling on a phone. */
async function inspect(page, name) {
    for (const [size, viewport] of [["desktop", wide], ["phone", narrow]]) {
        await page.setViewportSize(viewport);
        for (const scheme of ["light", "dark"]) {
            await page.emulateMedia({ colorScheme: scheme });
            await page.evaluate(axe);
            const { violations } = await page.evaluate(() => axe.run());
            const found = violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html).join("\n  ")}`);
            assert.deepEqual(found, [], `${name}, ${size}, ${scheme}`);
        }
        await page.emulateMedia({ colorScheme: "light" });
        const across = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(across <= viewport.width, `${name} is ${across} wide on a ${size}`);
        if (screenshots) await page.screenshot({ path: path.join(screenshots, `${name}-${size}.png`), fullPage: true });
    }
    await page.setViewportSize(wide);
}

async function main() {
    const app = await application();
    const profile = fs.mkdtempSync(path.join(os.tmpdir(), "ringback-browser-"));
    const browser = await chromium.launchPersistentContext(profile, {
        executablePath: "/usr/bin/chromium",
        headless: true,
        ignoreHTTPSErrors: true,
        viewport: wide,
        args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", "--no-proxy-server"],
    });
    try {
        await journey(app, browser);
    } finally {
        await browser.close();
        app.server.close();
        app.server.closeAllConnections();
        fs.rmSync(profile, { recursive: true, force: true });
    }
}

async function journey(app, browser) {
    const page = await browser.newPage();
    page.setDefaultTimeout(20_000);

    // The developer registers an application.
    const registered = await ask(developer.sid, "POST", `/2010-04-01/Accounts/${developer.sid}/ConnectApps.json`, {
        FriendlyName: "Call Insights",
        CompanyName: "Developer Inc",
        Description: "Shows what your callers hear and how long they wait.",
        HomepageUrl: "https://insights.example/",
        AuthorizeRedirectUrl: `${app.url}/back`,
        Permissions: "get-all,media:write",
    });
    assert.equal(registered.status, 201, registered.body);
    const connectApp = JSON.parse(registered.body).sid;

    // The user comes by its link, signs in with an authenticator's code, and is shown who asks for what.
    const state = crypto.randomUUID();
    await page.goto(`${url}/connect/authorize/${connectApp}?state=${state}`);
    assert.equal(await page.title(), "Sign in – Ringback");
    await inspect(page, "sign-in");
    await page.getByLabel("E-mail address").fill(user.email);
    await page.getByLabel("Password").fill("a wrong password");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("alert").waitFor();
    assert.equal(await page.getByLabel("Password").inputValue(), "");
    await page.getByLabel("Password").fill(user.password);
    const used = code(user.totp, Date.now());
    await page.getByLabel("Authenticator code").fill(used);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Allow Call Insights to use your account?" }).waitFor();
    await inspect(page, "authorize");
    const cookies = await browser.cookies();
    const session = cookies.find((cookie) => cookie.name === "__Host-ringback-session");
    assert.deepEqual([session.httpOnly, session.secure, session.sameSite, session.path], [true, true, "Lax", "/"]);

    // Who is impatient allows it once.
    await page.getByLabel("Work at once").fill("2");
    await page.getByRole("button", { name: "Allow" }).dblclick();
    await page.getByRole("heading", { name: "Thank you" }).waitFor();
    const [visit] = app.visits;
    assert.equal(visit.url.searchParams.get("state"), state);
    assert.equal(visit.headers.referer, undefined);
    const subaccount = visit.url.searchParams.get("AccountSid");
    assert.match(subaccount, /^AC[0-9a-f]{32}$/);
    assert.ok(app.visits.every((other) => other.url.searchParams.get("AccountSid") === subaccount));

    // The developer acts within what is allowed, and nowhere else.
    const applications = `/2010-04-01/Accounts/${subaccount}/Applications.json`;
    for (const name of [developer.sid, subaccount]) {
        const { status, body } = await ask(name, "GET", applications);
        assert.equal(status, 200, body);
    }
    for (const [method, where, form] of [
        ["POST", applications, { FriendlyName: "x" }],
        ["GET", `/2010-04-01/Accounts/${subaccount}/Keys.json`],
        ["POST", `/2010-04-01/Accounts/${subaccount}/Keys.json`, { FriendlyName: "x" }],
        ["GET", `/2010-04-01/Accounts/${user.account}.json`],
        ["GET", `/2010-04-01/Accounts/${user.account}/Applications.json`],
    ]) {
        const { status, body } = await ask(developer.sid, method, where, form);
        assert.ok(status === 403 || status === 401 || status === 404, `${method} ${where}: ${status} ${body}`);
    }

    // Another site cannot show the page within its own.
    const thief = await browser.newPage();
    const isShown = (frame) => frame.parentFrame() && !["", "about:blank"].includes(frame.url());
    const shown = thief.waitForEvent("framenavigated", isShown);
    await thief.goto(`${app.url}/frame`);
    assert.match((await shown).url(), /^chrome-error:/);
    await thief.close();

    // The user sees that it was used, lets it do less, then nothing.
    await page.goto(`${url}/connect/authorized`);
    assert.equal(await page.getByRole("article").count(), 1);
    await page.getByText("Allow less").click();
    await inspect(page, "authorized");
    await page.getByRole("checkbox", { name: /get-all/ }).uncheck();
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("status").waitFor();
    const less = await untilRefused(developer.sid, "GET", applications);
    assert.ok(less.took < 1_000, `narrowed after ${less.took} ms`);
    const itself = `/2010-04-01/Accounts/${subaccount}.json`;
    assert.equal((await ask(developer.sid, "GET", itself)).status, 200);
    await page.locator("summary", { hasText: "Revoke" }).click();
    await page.getByRole("button", { name: "Revoke" }).click();
    await page.getByText("There are none.").waitFor();
    const revoked = await untilRefused(developer.sid, "GET", itself);
    assert.ok(revoked.took < 1_000, `revoked after ${revoked.took} ms`);

    // Asked again, the user denies it.
    await page.goto(`${url}/connect/authorize/${connectApp}?state=again`);
    await page.getByRole("button", { name: "Deny" }).click();
    await page.getByRole("heading", { name: "Thank you" }).waitFor();
    const denied = app.visits.at(-1).url.searchParams;
    assert.deepEqual([...denied], [["error", "unauthorized_client"], ["state", "again"]]);

    // Signed out, the code that let the user in is good for nothing.
    await page.goto(`${url}/connect/authorized`);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("E-mail address").fill(user.email);
    await page.getByLabel("Password").fill(user.password);
    await page.getByLabel("Authenticator code").fill(used);
    await page.keyboard.press("Enter");
    await page.getByRole("alert").waitFor();
    console.log(`narrowed ${less.took.toFixed(0)} ms, revoked ${revoked.took.toFixed(0)} ms`);
}

main().catch((error) => {
    console.error(error);
    process.exitCode = 1;
});
