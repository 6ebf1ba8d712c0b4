// Decides a file of cases with @cloud-copilot/iam-simulate. It runs as a process of its own:
//   node simulate.cjs FOLDER_OF_NODE_MODULES CASES.json ANSWERS.json
"use strict";
const fs = require("fs");
const [folder, from, to] = process.argv.slice(2);
const { runSimulation } = require(require.resolve("@cloud-copilot/iam-simulate", { paths: [folder] }));

const VERDICTS = { Allowed: "allow", ExplicitlyDenied: "explicit-deny", ImplicitlyDenied: "implicit-deny" };

// Levels of an organization. The document that allows all is the peer's own under resource control policies.
function levels(list, skip) {
  return (list ?? []).map((level, index) => ({
    orgIdentifier: `level-${index}`,
    policies: level.slice(skip).map((policy, place) => ({ name: `${index}-${place}`, policy })),
  }));
}

const one = (policy, name) => (policy === undefined ? undefined : [{ name, policy }]);

function simulation({ principal, accounts, request, policies }) {
  return {
    request: {
      principal: principal.type === "anonymous" ? { type: "Anonymous" } : principal.arn,
      action: request.action,
      resource: { resource: request.resource, accountId: accounts.resource },
      contextVariables: request.context,
    },
    identityPolicies: policies.identity.map((policy, index) => ({ name: `identity-${index}`, policy })),
    resourcePolicy: policies.resource,
    permissionBoundaryPolicies: one(policies.boundary, "boundary"),
    sessionPolicy: policies.session,
    serviceControlPolicies: levels(policies.scp, 0),
    resourceControlPolicies: levels(policies.rcp, 1),
    vpcEndpointPolicies: one(policies.endpoint, "endpoint"),
  };
}

async function answer(test) {
  try {
    const found = await runSimulation(simulation(test), {});
    if (found.resultType === "error") return { error: JSON.stringify(found.errors) };
    const ignored = [found.result, ...(found.results ?? [])].flatMap((result) => result?.ignoredContextKeys ?? []);
    return { verdict: VERDICTS[found.overallResult] ?? found.overallResult, ignored: [...new Set(ignored)] };
  } catch (error) {
    return { error: String(error) };
  }
}

async function main() {
  const answers = [];
  for (const test of JSON.parse(fs.readFileSync(from, "utf8"))) answers.push(await answer(test));
  fs.writeFileSync(to, JSON.stringify(answers));
}

main();
