// cim-ops inspect: the event view of lines, without a server.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { CIM_OPS, REPOSITORY, run, tempDir } from './lib/index.mjs';

const inspect = (args, input) => run(CIM_OPS, ['inspect', ...args], { input });
const line = (subject, payload, headers = {}) => JSON.stringify({ subject, headers, payload });
const LOCATION = line('events.location.l-1.defined', { LocationDefined: { location_id: 'l-1' } },
  { 'event-type': 'LocationDefined' });

describe('inspect', () => {
  test('prints one view a line, absent fields left out, and passes over blank lines', async () => {
    const { code, stdout, stderr } = await inspect(['-'], `${LOCATION}\r\n\n${LOCATION}`);
    assert.equal(code, 0, stderr);
    const views = stdout.trimEnd().split('\n').map((text) => JSON.parse(text));
    assert.equal(views.length, 2);
    assert.deepEqual(views[0], { domain: 'location', event_type: 'LocationDefined',
      aggregate_type: 'location', aggregate_id: 'l-1', envelope: 'location' });
  });

  test('a line that cannot be read is named, the others are shown, and it ends with 5', async (t) => {
    const file = join(await tempDir(t, 'inspect'), 'events.jsonl');
    await writeFile(file, [LOCATION, '{"subject":"a","payload":{"x":}}', '{"payload":1}',
      '{"subject":"a","payload_text":"ping"}', LOCATION, ''].join('\n'));
    const { code, stdout, stderr } = await inspect([file]);
    assert.equal(code, 5);
    assert.equal(stdout.trimEnd().split('\n').length, 2);
    assert.match(stderr, new RegExp(`${file}:2:31: not JSON: a value was expected`));
    assert.match(stderr, new RegExp(`${file}:3:1: 'subject' is missing`));
    assert.match(stderr, new RegExp(`${file}:4:32: the payload is no event: `));
  });

  test('what a terminal would act on is shown as dots, in fields, errors and names', async () => {
    const odd = 'X\u001b[31m\u009b1m\u202e\nforged: line\u007f';
    const { stdout } = await inspect(['--output', 'text', '-'], line(`a.${odd}`, { event_type: odd }));
    assert.doesNotMatch(stdout, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
    assert.doesNotMatch(stdout, /^forged/m);
    assert.match(stdout, /event_type +X\.\[31m/);
    for (const args of [['inspect', '/none\u001b[31m'], ['verb\u001b[31m'], ['derive', '/none\u001b[31m']]) {
      const { code, stderr } = await run(CIM_OPS, args);
      assert.equal(code, 2);
      assert.match(stderr, /\.\[31m/);
      assert.doesNotMatch(stderr, /\u001b/);
    }
  });

  test('output that cannot be written is no success', async () => {
    const verbs = [`inspect '${CORPUS}'`, `derive '${CORPUS}'`, 'rules list', '--help', '--version', 'events --help'];
    for (const verb of verbs) {
      const { code, stderr } = await run('sh', ['-c', `'${CIM_OPS}' ${verb} >/dev/full`]);
      assert.equal(code, 70, verb);
      assert.match(stderr, /No space left on device|cannot be written|could not be written/, verb);
    }
  });

  test('--explain names envelope, expression and line, and what did not fit', async () => {
    const { stdout } = await inspect(['--explain', '-'],
      line('infrastructure.compute.c-1.registered', { type: 'resource_registered', aggregate_id: 'c-1' }));
    const { explain } = JSON.parse(stdout);
    assert.match(explain.envelope, /rules\/envelopes\.yaml:\d+$/);
    assert.match(explain.event_type, /^\$text\.type \|.* \(.*envelopes\.yaml:\d+\)$/);
    assert.equal(explain.event_id, undefined);
    assert.deepEqual(explain.tried,
      { 'infrastructure-stored': 'no $payload.data.event.event_id' });
    const text = await inspect(['--explain', '--output', 'text', '-'], LOCATION);
    assert.match(text.stdout, /^ {2}event_type +LocationDefined +<- \$tag \(.*envelopes\.yaml:\d+\)$/m);
  });

  test('--explain says what the CID of each line says, line after line', async () => {
    const file = new URL('../corpus/chains.jsonl', import.meta.url).pathname;
    const { code, stdout, stderr } = await inspect(['--explain', file]);
    assert.equal(code, 0, stderr);
    const shown = stdout.trimEnd().split('\n').map((text) => JSON.parse(text).explain.chain);
    const wanted = (await readFile(file, 'utf8')).trimEnd().split('\n').map((text) => JSON.parse(text).expect);
    assert.equal(shown.length, wanted.length);
    wanted.forEach((want, i) => {
      if (want === 'none') assert.equal(shown[i], undefined);
      else if (want === 'verified') assert.match(shown[i], /^verified, .*: [a-z-]+ \(.*envelopes\.yaml:\d+:?\d*\)$/);
      else if (want.startsWith('unverifiable: ')) assert.match(shown[i],
        new RegExp(`^not verifiable, ${want.slice(14)}: `));
      else assert.match(shown[i], new RegExp(`^broken, ${want}: `));
    });
    const text = await inspect(['--explain', '--output', 'text', file]);
    assert.match(text.stdout, /^ {2}chain +broken, cid_mismatch: chained-content \(/m);
  });

  test('wrong options and files are told apart from wrong lines', async () => {
    assert.equal((await inspect(['--output', 'csv', '-'], '')).code, 2);
    const missing = await inspect(['/no/such/file']);
    assert.equal(missing.code, 2);
    assert.match(missing.stderr, /\/no\/such\/file: cannot open: No such file/);
    assert.equal((await inspect(['-'], '')).code, 0);
  });
});

// --- the corpus, and lines like it ------------------------------------------------------------------

const CORPUS = join(REPOSITORY, 'tests/corpus/cim-events.jsonl');
const EXPECTED = join(REPOSITORY, 'tests/corpus/expected.jsonl');
const jsonLines = async (path) => (await readFile(path, 'utf8')).trimEnd().split('\n').map((text) => JSON.parse(text));

/** The views of lines, without the envelope's name. */
async function views(lines) {
  const input = lines.map((each) => (typeof each === 'string' ? each : JSON.stringify(each))).join('\n');
  const { code, stdout, stderr } = await inspect(['-'], input);
  assert.equal(code, 0, stderr);
  return stdout.trimEnd().split('\n').map((text) => {
    const { envelope, ...view } = JSON.parse(text);
    assert.ok(envelope, 'every message has an envelope');
    return view;
  });
}

/** Compares line by line; names the subject of each that differs. */
function same(lines, have, want) {
  assert.equal(have.length, want.length);
  have.forEach((view, i) => assert.deepEqual(view, want[i], `${i + 1}: ${lines[i].subject}`));
}

const isBytes = (value) => Array.isArray(value) && value.every((each) => Number.isInteger(each));
const asBytes = (value) => [...Buffer.from(JSON.stringify(value))];
/** The payload's value, whether it was serialised once or twice. */
const once = (line) => (isBytes(line.payload) ? JSON.parse(Buffer.from(line.payload).toString()) : line.payload);

function deep(value, change) {
  const changed = change(value);
  if (Array.isArray(changed)) return isBytes(changed) ? changed : changed.map((each) => deep(each, change));
  if (changed === null || typeof changed !== 'object') return changed;
  return Object.fromEntries(Object.entries(changed).map(([key, each]) => [key, deep(each, change)]));
}

const TIME = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|\+00:00)$/;

describe('inspect: the corpus', async () => {
  const corpus = await jsonLines(CORPUS);
  const expected = await jsonLines(EXPECTED);

  test('every line has the view that its producer means', async () => {
    same(corpus, await views(corpus), expected);
  });

  test('header names in any case, and with ids that carry their prefix', async () => {
    for (const spell of [(name) => name.toLowerCase(), (name) => name.toUpperCase()]) {
      const lines = corpus.map((line) => ({ ...line, headers: Object.fromEntries(
        Object.entries(line.headers).map(([name, value]) => [spell(name),
          /correlation-id/i.test(name) ? `correlation:${value.replace('correlation:', '')}`
            : /causation-id/i.test(name) ? `causation:${value.replace('causation:', '')}` : value])) }));
      same(lines, await views(lines), expected);
    }
  });

  test('blanks, and members in another order, change nothing but where the order is the meaning', async () => {
    const lines = corpus.map((line) => {
      const turned = deep(line.payload, (value) => (value && typeof value === 'object' && !Array.isArray(value)
        ? Object.fromEntries(Object.entries(value).reverse()) : value));
      return `{"payload" : ${JSON.stringify(turned, null, 2).replaceAll('\n', '\r\t')}, "headers":${
        JSON.stringify(line.headers)},"subject":${JSON.stringify(line.subject)} }`.replaceAll('\r\t', '  ');
    });
    same(corpus, await views(lines), expected);
  });

  test('times with 0 to 9 digits, as Z and +00:00', async () => {
    for (const digits of [0, 3, 6, 9]) {
      for (const zone of ['Z', '+00:00']) {
        const cut = (text) => text.replace(TIME, (_, whole, fraction = '.') =>
          `${whole}${digits ? fraction.padEnd(10, '0').slice(0, digits + 1) : ''}${zone}`);
        const change = (value) => (typeof value === 'string' && TIME.test(value) ? cut(value) : value);
        const lines = corpus.map((line) => ({ ...line,
          headers: deep(line.headers, change),
          payload: isBytes(line.payload) ? asBytes(deep(once(line), change)) : deep(line.payload, change) }));
        const want = expected.map((view, i) => {
          const epoch = /"(X-Timestamp":"\d+"|timestamp":\d+|timestamp":\{|occurred_at":\{)/
            .test(JSON.stringify([corpus[i].headers, once(corpus[i])])) &&
              !TIME.test(corpus[i].payload.timestamp ?? '');
          if (!view.occurred_at || (epoch && !JSON.stringify(once(corpus[i])).includes(view.occurred_at.slice(0,
            26)))) return view;
          const fraction = view.occurred_at.slice(20, 20 + digits).padEnd(9, '0');
          return { ...view, occurred_at: `${view.occurred_at.slice(0, 20)}${fraction}Z` };
        });
        same(lines, await views(lines), want);
      }
    }
  });

  test('ids wrapped in every way in use', async () => {
    const UUID = /^[0-9a-f]{8}-[0-9a-f-]{27}$/;
    const IDS = new Set(['aggregate_id', 'event_id', 'correlation_id', 'causation_id', 'agent_id', 'policy_id',
      'repository_id', 'workflow_id', 'organization_id', 'saga_id', 'document_id', 'dialog_id', 'message_id', 'id']);
    for (const wrap of [(id) => ({ id }), (id) => ({ Uuid: id }), (id) => ({ Cid: id }),
      (id) => ({ kind: 'Transaction', value: id }), (id) => ({ kind: 'Single', value: { Uuid: id } })]) {
      const change = (value) => (value && typeof value === 'object' && !Array.isArray(value)
        ? Object.fromEntries(Object.entries(value).map(([key, each]) =>
          [key, IDS.has(key) && UUID.test(each) && Object.keys(value).length > 1 ? wrap(each) : each])) : value);
      const lines = corpus.map((line) => ({ ...line, payload: isBytes(line.payload)
        ? asBytes(deep(once(line), change)) : deep(line.payload, change) }));
      same(lines, await views(lines), expected);
    }
  });

  test('members of shapes that nobody knows are no types', async () => {
    const lines = [{ Wild: { a: 1 } }, { a: 1, b: 2 }, { Rain: 1, Wind: 2 }, [], {}, 'text', 7, null]
      .flatMap((payload) => ['weather.station.7', 'x', 'cim.weather.now'].map((subject) => ({ subject, payload })));
    for (const view of await views(lines)) assert.equal(view.event_type, undefined);
    const untagged = ['events.workflow.w.stepfailed', 'person.events.p.created', 'events.location.l.defined',
      'network.device.DeviceError', 'bridge.event.provider.health', 'saga.events.s.step.failed']
      .map((subject) => ({ subject, payload: { anything: { x: 1 }, event: { anything: 1 } } }));
    assert.deepEqual((await views(untagged)).map((view) => view.event_type),
      ['StepFailed', 'PersonCreated', 'LocationDefined', 'DeviceError', 'ProviderHealth', 'StepFailed']);
  });
});

// --- the types of every domain, in every casing of their subjects ----------------------------------------

const snake = (type) => type.replace(/([a-z0-9])([A-Z])/g, '$1_$2').replace(/([A-Z])([A-Z][a-z])/g,
  '$1_$2').toLowerCase();
const squashed = (type) => type.toLowerCase();
const dotted = (type) => snake(type).replaceAll('_', '.');
const kebab = (type) => snake(type).replaceAll('_', '-');
const words = (text) => text.trim().split(/\s+/);

/** subject and payload tell the type in the way named; `strip` is what the subject leaves out of it. */
const DOMAINS = {
  infrastructure: { types: words(`ResourceRegistered OrganizationAssigned LocationAssigned OwnerAssigned PolicyAdded
    PolicyRemoved AccountConceptAssigned AccountConceptCleared HardwareDetailsSet AssetTagAssigned MetadataUpdated
      StatusChanged`),
  subjects: [(t) => `infrastructure.compute.c-1.${squashed(t)}`, (t) => `infrastructure.compute.c-1.${snake(t)}`],
  payloads: [(t) => ({ event_type: t, data: { event: { event_id: 'e' } } }), (t) => ({ type: snake(t) }),
    (t) => asBytes({ type: snake(t) }), () => ({ hostname: 'x' })] },
  agent: { types: words(`AgentDeployed ModelConfigured ModelConfigurationAssigned SystemPromptConfigured AgentActivated
    AgentSuspended AgentDecommissioned MessageSent ResponseChunkReceived ResponseCompleted ResponseFailed`),
  subjects: [(t) => `agent.events.agent.a-1.${snake(t).replace('agent_', '')}`],
    payloads: [(t) => ({ event: { type: t } }), () => ({})] },
  workflow: { types: words(`WorkflowCreated WorkflowStarted WorkflowCompleted WorkflowFailed WorkflowPaused
      WorkflowResumed
    WorkflowCancelled WorkflowMetadataAdded WorkflowMetadataRemoved WorkflowContextVariableSet
      WorkflowContextVariableRemoved
    StepAdded StepRemoved StepExecutionStarted StepExecutionCompleted StepExecutionFailed StepSkipped StepFailed
    StepAssignmentChanged StepDependencyAdded StepDependencyRemoved StepConfigurationAdded StepConfigurationRemoved
    StepApprovalRequested StepApprovalGranted StepApprovalRejected TaskStarted TaskAssigned TaskReassigned TaskCompleted
    CrossDomainOperationRequested CrossDomainOperationCompleted CrossDomainOperationFailed
    CrossDomainEventSubscriptionRequested CrossDomainEventSubscriptionCancelled CrossDomainEventReceived
    CrossDomainTransactionStarted CrossDomainTransactionPrepared CrossDomainTransactionCommitted
      CrossDomainTransactionRolledBack`),
  subjects: [(t) => `events.workflow.w-1.${squashed(t)}`,
    (t) => `cim.cim.cim.workflow.instance.lifecycle.${squashed(t)}.k`],
  payloads: [(t) => ({ [t]: {} }), (t) => t, () => ({})] },
  person: { types: words(`PersonCreated PersonUpdated NameUpdated BirthDateSet DeathRecorded PersonDeactivated
      PersonReactivated
    AttributeRecorded AttributeUpdated AttributeInvalidated`),
  subjects: [(t) => `person.events.p-1.${snake(t).replace('person_', '')}`],
    payloads: [(t) => ({ event: { [t]: {} } }), (t) => ({ event: t }), () => ({})] },
  organization: { types: words(`OrganizationCreated OrganizationUpdated OrganizationDissolved OrganizationMerged
    OrganizationStatusChanged DepartmentCreated DepartmentUpdated DepartmentRestructured DepartmentDissolved TeamFormed
    TeamUpdated TeamDisbanded RoleCreated RoleUpdated RoleDeprecated FacilityCreated FacilityUpdated FacilityRemoved
    ChildOrganizationAdded ChildOrganizationRemoved`),
  subjects: [(t) => `organization.events.o-1.${snake(t).replace(/_?organization_?/, '_').replace(/^_/, '')}`,
    (t) => `events.organization.o-1.${snake(t).replace(/_?organization_?/, '_').replace(/^_/, '')
      .replaceAll('_', '.')}`],
  payloads: [(t) => ({ event_type: t }), () => ({})] },
  policy: { types: words(`PolicyCreated PolicyUpdated PolicyApproved PolicyActivated PolicySuspended PolicyRevoked
      PolicyArchived
    PolicyEvaluated PolicyViolationDetected PolicyCompliancePassed PolicyExemptionGranted PolicyExemptionRevoked
    PolicyExemptionExpired PolicySetCreated PolicyAddedToSet PolicyRemovedFromSet PolicyConflictDetected`),
  subjects: [(t) => `events.policy.p-1.${squashed(t)}`], payloads: [(t) => ({ event_type: t }), () => ({})] },
  location: { types: words(`LocationDefined LocationUpdated ParentLocationSet ParentLocationRemoved
      LocationMetadataAdded LocationArchived`),
    subjects: [(t) => `events.location.l-1.${snake(t).replace(/_?location_?/, '_').replace(/^_/, '')}`,
      (t) => `events.location.l-1.${dotted(t).replace(/\.?location\.?/, '.').replace(/^\./, '')}`],
    payloads: [(t) => ({ [t]: { location_id: 'l-1' } }), (t) => t, () => ({})] },
  git: { types: words('RepositoryCloned CommitAnalyzed BranchCreated BranchDeleted TagCreated RepositoryAnalyzed'),
    subjects: [(t) => `git.event.${dotted(t)}`], payloads: [(t) => ({ event: { event_type: t } }),
      (t) => ({ event_type: t }), () => ({})] },
  nix: { types: words(`FlakeCreated FlakeUpdated FlakeInputAdded FlakeInputRemoved PackageBuilt PackageCached
      ModuleCreated ModuleUpdated ModuleDeleted ConfigurationCreated ConfigurationUpdated ConfigurationActivated
      ConfigurationRolledBack`),
    subjects: [(t) => `nix.event.${snake(t).replace('_', '.').replace('configuration', 'config')}`],
      payloads: [() => ({ id: 1 })] },
  dialog: { types: words(`DialogStarted DialogEnded TurnAdded ContextSwitched ContextUpdated DialogPaused
      DialogResumed ParticipantAdded ParticipantRemoved TopicCompleted ContextVariableAdded`),
    subjects: [(t) => `dialog.${dotted(t).replace('dialog.', '').replace('context.variable', 'context_variable')}.v1`],
      payloads: [() => ({ dialog_id: 'd' })] },
  conceptualspace: { types: words(`ConceptualSpaceCreated ConceptAdded RegionAdded DimensionWeightsRemoved
      DimensionWeightsAdded`),
    subjects: [(t) => `conceptualspace.${squashed(t)}`], payloads: [(t) => ({ [t.replace('Conceptual',
      '').replace('Dimension', '')]: {} }), () => ({})] },
  identity: { types: words(`IdentityCreated IdentityUpdated IdentityArchived IdentityLinkedToPerson
      IdentityLinkedToOrganization
    IdentityAuthenticationRequested IdentitiesMerged RelationshipEstablished RelationshipValidated RelationshipExpired
    RelationshipRevoked RelationshipsTraversed WorkflowStarted WorkflowStepCompleted WorkflowCompleted WorkflowTimedOut
    VerificationStarted VerificationCompleted ProjectionCreated ProjectionsSynced`),
  subjects: [(t) => `identity.${snake(t)}`, (t) => `identity.${squashed(t)}`],
    payloads: [() => ({ identity_id: 'i' })] },
  graph: { types: words(`GraphCreated GraphDeleted NodeAdded NodeUpdated NodeRemoved EdgeAdded EdgeUpdated
      EdgeRemoved`),
    subjects: [(t) => `graph.g-1.${dotted(t).replace('graph.', '')}`, (t) => `graphs.${dotted(t)}.v1`],
      payloads: [(t) => ({ type: t }), () => ({})] },
  network: { types: words(`DeviceDiscovered DeviceAdopting DeviceProvisioned DeviceConfiguring DeviceConfigured
      DeviceError
    DeviceDecommissioned DeviceRenamed DeviceAddedToTopology DeviceRemovedFromTopology DeviceSyncedToInventory
    ConnectionEstablished ConnectionRemoved ConnectionLinkChanged TopologyCreated IpAddressAllocated`),
  subjects: [(t) => `network.device.${t}`, (t) => `network.device.${squashed(t)}`], payloads: [(t) => ({ [t]: {} }),
    (t) => t, () => ({})] },
  bridge: { types: words(`QueryStarted QueryCompleted QueryFailed StreamChunk ProviderSwitched ProviderHealth
      MetricsUpdated ProvidersListed ModelsListed`),
    subjects: [(t) => `bridge.event.${dotted(t)}`], payloads: [(t) => ({ event: { [t]: {} } }), (t) => ({ event: t }),
      () => ({})] },
  keys: { types: words(`KeyGenerated KeyImported KeyExported KeyStoredOffline KeyRevoked CertificateSigned
      CertificateRevoked
    CertificateRenewed CertificateValidated YubiKeyDetected YubiKeyProvisioned SagaStarted SagaCompleted`),
  subjects: [(t) => `keys.events.${kebab(t).replace('yubi-key', 'yubikey').replace('-', '.')}`,
    (t) => `cim.graph.key.${squashed(t)}`],
  payloads: [(t) => ({ aggregate: 'Key', event: { event_type: t } }), (t) => ({ event: { aggregate: 'Key',
    event: { event_type: t } }, cid: 'b' })] },
};

describe('inspect: the producers\' own types', () => {
  for (const [domain, { types, subjects, payloads }] of Object.entries(DOMAINS)) {
    test(domain, async () => {
      const cases = types.flatMap((type) => subjects.flatMap((subject) => payloads.map((payload) =>
        ({ type, line: { subject: subject(type), payload: payload(type) } }))));
      const have = await views(cases.map((each) => each.line));
      cases.forEach(({ type, line }, i) => {
        assert.equal(have[i].event_type, type, JSON.stringify(line));
        assert.equal(have[i].domain, domain, JSON.stringify(line));
      });
    });
  }
});
