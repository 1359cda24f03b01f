// A certified OpenID provider (npm oidc-provider) for the tests, with doors that make it misbehave.
// Takes the folder of node_modules; prints its issuer when it listens.
import { createServer } from 'node:http';
import { createPrivateKey, createPublicKey, createHmac, randomUUID, sign as signBytes } from 'node:crypto';
import { pathToFileURL } from 'node:url';
import { join } from 'node:path';

const modules = process.argv[2];
const load = (path) => import(pathToFileURL(join(modules, path)));
const { default: Provider } = await load('oidc-provider/lib/index.js');
const jose = await load('jose/dist/webapi/index.js');

const AUDIENCE = 'portunus-api';
const people = {
  ada: { email: 'ada@example.com', email_verified: true, name: 'Ada L.', realm_access: { roles: ['cpi-admin'] } },
  bob: { email: 'bob@example.com', email_verified: true, groups: ['developers'] },
  eve: { email: 'eve@elsewhere.example', email_verified: true, groups: ['developers'] },
  nil: { email: 'nil@example.com', email_verified: true },
};

let issuer;
let keys = [];
let handler;
let tamper = null;
let isDown = false;
let fetches = 0;

const makeKey = async (alg) => {
  const { privateKey } = await jose.generateKeyPair(alg, { extractable: true });
  return { ...(await jose.exportJWK(privateKey)), alg, use: 'sig', kid: randomUUID() };
};

function configure() {
  const provider = new Provider(issuer, {
    jwks: { keys },
    clients: [
      {
        client_id: 'portunus',
        client_secret: 'a-secret-of-the-test',
        redirect_uris: (process.argv[3] ?? 'http://127.0.0.1/v1/login/oidc/callback').split(','),
        grant_types: ['authorization_code'],
        response_types: ['code'],
        id_token_signed_response_alg: keys[0].alg,
      },
      {
        client_id: 'machine',
        client_secret: 'a-secret-of-the-machine',
        redirect_uris: [],
        grant_types: ['client_credentials'],
        response_types: [],
      },
    ],
    claims: { profile: ['name', 'preferred_username', 'realm_access', 'groups'], email: ['email', 'email_verified'] },
    pkce: { required: () => true },
    features: {
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: (ctx) => (ctx.oidc.client?.clientId === 'machine' ? 'urn:api' : undefined),
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({ scope: 'api', audience: AUDIENCE, accessTokenFormat: 'jwt', jwt: { sign: { alg: keys[0].alg } } }),
      },
    },
    extraTokenClaims: () => ({ realm_access: { roles: ['cpi-admin'] } }),
    findAccount: (_, id) =>
      people[id] && { accountId: id, claims: () => ({ sub: id, preferred_username: id, ...people[id] }) },
    cookies: { keys: ['a key for the tests'] },
  });
  handler = provider.callback();
}

// Signs anything, rightly or wrongly.
async function sign({ header = {}, claims = {}, how = 'right' }) {
  const key = how === 'unknown' ? await makeKey('RS256') : keys[0];
  const now = Math.floor(Date.now() / 1000);
  const payload = { iss: issuer, sub: 'ada', aud: AUDIENCE, iat: now, exp: now + 300, jti: randomUUID(), preferred_username: 'ada', ...claims };
  for (const name of Object.keys(payload)) if (payload[name] === null) delete payload[name];
  const head = { alg: key.alg, typ: 'at+jwt', kid: key.kid, ...header };
  for (const name of Object.keys(head)) if (head[name] === null) delete head[name];
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = (value) => `${encode(value)}.${encode(payload)}`;
  if (how === 'none') return `${signed({ ...head, alg: 'none' })}.`;
  if (how === 'confused') {
    const text = signed({ ...head, alg: 'HS256' });
    const pem = createPublicKey({ key: { ...keys[0], d: undefined, p: undefined, q: undefined, dp: undefined, dq: undefined, qi: undefined }, format: 'jwk' })
      .export({ type: 'spki', format: 'pem' });
    return `${text}.${createHmac('sha256', pem).update(text).digest('base64url')}`;
  }
  if (head.crit) {
    const text = signed(head);
    return `${text}.${signBytes('sha256', Buffer.from(text), createPrivateKey({ key, format: 'jwk' })).toString('base64url')}`;
  }
  return new jose.SignJWT(payload).setProtectedHeader(head).sign(await jose.importJWK(key, head.alg));
}

// Puts another ID token in the place of the right one.
function replacing(response) {
  const chunks = [];
  const { write, end, setHeader } = response;
  response.write = (chunk) => (chunks.push(Buffer.from(chunk)), true);
  response.end = async (chunk) => {
    if (chunk) chunks.push(Buffer.from(chunk));
    let body = Buffer.concat(chunks).toString();
    const answer = JSON.parse(body);
    if (answer.id_token) {
      const claims = { ...jose.decodeJwt(answer.id_token), ...tamper.claims };
      const header = { typ: 'JWT', ...tamper.header };
      body = JSON.stringify({ ...answer, id_token: await sign({ ...tamper, claims, header }) });
    }
    response.write = write;
    response.end = end;
    setHeader.call(response, 'content-length', Buffer.byteLength(body));
    response.end(body);
  };
}

const doors = {
  '/test/sign': (ask) => sign(ask),
  '/test/rotate': async ({ alg = 'RS256', keep = false }) => {
    keys = [await makeKey(alg), ...(keep ? keys : [])];
    configure();
    return keys[0].kid;
  },
  '/test/tamper': (ask) => ((tamper = Object.keys(ask).length ? ask : null), 'done'),
  '/test/person': ({ name, claims }) => ((people[name] = claims), 'done'),
  '/test/down': ({ down }) => ((isDown = down), 'done'),
  '/test/fetches': () => String(fetches),
};

const server = createServer(async (request, response) => {
  const path = request.url.split('?')[0];
  if (doors[path]) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const answer = await doors[path](JSON.parse(Buffer.concat(chunks).toString() || '{}'));
    return response.end(answer);
  }
  if (isDown) return response.writeHead(500).end('{}');
  if (path === '/jwks') fetches += 1;
  if (path === '/token' && tamper) replacing(response);
  return handler(request, response);
});
server.listen(0, '127.0.0.1', async () => {
  issuer = `http://127.0.0.1:${server.address().port}`;
  keys = [await makeKey('RS256')];
  configure();
  console.log(issuer);
});
