// W7 by iam-simulate: the same documents and requests, each decided anew. Prints seconds for 100,000 decisions and the
// verdicts in order. Arguments: file of cases, `checked` or `unchecked` (without validation of its input), the module.
import { readFileSync } from 'node:fs'

const [file, how, module] = process.argv.slice(2)
const { runSimulation, runUnsafeSimulation } = await import(module)
const decide = how === 'unchecked' ? runUnsafeSimulation : runSimulation
const simulations = JSON.parse(readFileSync(file, 'utf8')).map(({ principal, accounts, request, policies }) => ({
  request: {
    principal: principal.arn,
    action: request.action,
    resource: { resource: request.resource, accountId: accounts.resource },
    contextVariables: request.context,
  },
  identityPolicies: policies.identity.map((policy, index) => ({ name: `policy-${index}`, policy })),
  serviceControlPolicies: [],
  resourceControlPolicies: [],
}))

const verdict = (answer) => {
  const result = answer.overallResult ?? answer
  return { Allowed: 'allow', ImplicitlyDenied: 'implicit-deny', ExplicitlyDenied: 'explicit-deny' }[result] ?? JSON.stringify(answer)
}
const verdicts = []
for (const simulation of simulations) verdicts.push(verdict(await decide(simulation, {})))

// A sample suffices: it is slow, and its rate is steady once the engine is warm.
const rounds = Math.ceil(2000 / simulations.length)
for (let round = 0; round < rounds / 4; round++) for (const simulation of simulations) await decide(simulation, {})
const began = performance.now()
for (let round = 0; round < rounds; round++) for (const simulation of simulations) await decide(simulation, {})
const seconds = (performance.now() - began) / 1000
console.log(`${(seconds / (rounds * simulations.length)) * 100000} ${verdicts.join(',')}`)
