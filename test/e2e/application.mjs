// An application built with an MCP client of Node.js. Its one argument is JSON:
//
//   sdk        "client" (@modelcontextprotocol/client) or "sdk" (@modelcontextprotocol/sdk)
//   endpoint   of the MCP server
//   callback   where browsers return to
//   client     client information of a registered client; or
//   document   address of its metadata document; or neither: it registers
//
// It takes commands as lines of JSON on stdin and answers each with one line on
// stdout: {"result": …} or {"error": …}. Before it answers it may say
// {"open": url} to have the person open an address; then the next line on stdin
// is {"callback": url}, or {"callback": null} when nobody is there.
import { createInterface } from 'node:readline';
import { randomBytes } from 'node:crypto';

const settings = JSON.parse(process.argv[2]);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const say = (message) => process.stdout.write(JSON.stringify(message) + '\n');
const hear = async () => {
  const { value, done } = await lines.next();
  if (done) process.exit(0);
  return JSON.parse(value);
};

async function library() {
  if (settings.sdk === 'client') return import('@modelcontextprotocol/client');
  const parts = await Promise.all(['index', 'streamableHttp', 'auth'].map((name) => import(`@modelcontextprotocol/sdk/client/${name}.js`)));
  return Object.assign({}, ...parts);
}
const { Client, StreamableHTTPClientTransport, UnauthorizedError } = await library();

// provider is what the application keeps.
const kept = { client: settings.client };
const provider = {
  redirectUrl: settings.callback,
  clientMetadataUrl: settings.document,
  clientMetadata: {
    client_name: 'Application', redirect_uris: [settings.callback], token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'],
  },
  state: () => (kept.state = randomBytes(16).toString('base64url')),
  clientInformation: () => kept.client,
  saveClientInformation: (client) => { kept.client = client; },
  tokens: () => kept.tokens,
  saveTokens: (tokens) => { kept.tokens = tokens; },
  saveCodeVerifier: (verifier) => { kept.verifier = verifier; },
  codeVerifier: () => kept.verifier,
  redirectToAuthorization: (url) => { kept.url = url.href; },
  invalidateCredentials: (scope) => {
    if (scope === 'all' || scope === 'tokens') kept.tokens = undefined;
    if (scope === 'all' || scope === 'verifier') kept.verifier = undefined;
    if ((scope === 'all' || scope === 'client') && !settings.client) kept.client = undefined;
  },
};

let client, transport;

// returned sends the person to the authorization server, and hands their
// browser's answer to the SDK.
async function returned() {
  say({ open: kept.url });
  const { callback } = await hear();
  if (!callback) throw new Error('the person has left');
  const answer = new URL(callback).searchParams;
  if (answer.get('state') !== kept.state) throw new Error('state mismatch');
  if (answer.get('error')) throw new Error(`refused: ${answer.get('error')}`);
  await transport.finishAuth(settings.sdk === 'client' ? answer : answer.get('code'));
}

// withPerson tries until the person has allowed what it takes.
async function withPerson(operation) {
  for (let attempt = 0; ; attempt++) {
    try {
      return await operation();
    } catch (error) {
      if (!(error instanceof UnauthorizedError) || attempt === 3) throw error;
      await returned();
    }
  }
}

const commands = {
  connect: () => withPerson(async () => {
    client = new Client({ name: 'application', version: '1' }, { versionNegotiation: { mode: 'auto' } });
    transport = new StreamableHTTPClientTransport(new URL(settings.endpoint), { authProvider: provider });
    await client.connect(transport);
  }),
  tools: async () => (await withPerson(() => client.listTools())).tools.map((tool) => tool.name),
  use: ({ tool, arguments: args }) => withPerson(() => client.callTool({ name: tool, arguments: args })),
  // The endpoint refuses a token that is no good as it refuses an expired one.
  expire: () => { kept.tokens = { ...kept.tokens, access_token: 'expired' }; },
  forget: () => { kept.tokens = { ...kept.tokens, refresh_token: undefined }; },
  known: () => ({ ...kept.client, ...kept.tokens }),
};

for (;;) {
  const command = await hear();
  try {
    say({ result: (await commands[command.do](command)) ?? null });
  } catch (error) {
    say({ error: `${error.name}: ${error.message}` });
  }
}
