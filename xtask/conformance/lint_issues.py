"""What parliament says about policy documents: python lint_issues.py DOCUMENTS.json ISSUES.json"""

import json
import sys
import warnings

warnings.simplefilter("ignore")

from parliament import analyze_policy_string  # noqa: E402


def issues(text):
    try:
        findings = analyze_policy_string(text).findings
    except Exception as error:  # it raises on some documents that it should refuse
        return [{"issue": "EXCEPTION", "detail": repr(error)}]
    return [{"issue": finding.issue, "detail": json.dumps(finding.detail, default=str)} for finding in findings]


with open(sys.argv[1]) as file:
    documents = json.load(file)
with open(sys.argv[2], "w") as file:
    json.dump([issues(json.dumps(document)) for document in documents], file)
