"""Manifests as Kubernetes' published schemas and its restricted Pod Security Standard take them.

Arguments: the layout that ConfigMaps must hold unchanged, then files of YAML documents.
"""

import sys

import kubernetes_validate
import yaml

VERSIONS = ["1.28", "1.31", "1.34", "1.37"]


def restricted(pod):
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted"""
    assert not any(pod.get(field) for field in ("hostNetwork", "hostPID", "hostIPC")), "host namespaces"
    allowed = {"configMap", "emptyDir", "persistentVolumeClaim"}
    for volume in pod["volumes"]:
        assert set(volume) - {"name"} <= allowed, volume
    assert pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
    assert pod["securityContext"]["runAsNonRoot"] is True and pod["securityContext"]["runAsUser"] > 0
    for container in pod["containers"]:
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}, security
        assert security["readOnlyRootFilesystem"] is True
        assert container["resources"]["limits"]["memory"] and container["resources"]["requests"]["cpu"]
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}, mounted


def main():
    layout = open(sys.argv[1], encoding="utf-8").read()
    jobs, configs, names = 0, 0, set()
    for path in sys.argv[2:]:
        for document in yaml.safe_load_all(open(path, encoding="utf-8")):
            for version in VERSIONS:
                kubernetes_validate.validate(document, version, strict=True)
            name = (document["kind"], document["metadata"]["namespace"], document["metadata"]["name"])
            assert name not in names and len(name[2]) <= 63, name
            names.add(name)
            if document["kind"] == "ConfigMap":
                configs += 1
                assert document["data"]["layout.toml"] == layout, "the layout was changed on its way"
                continue
            jobs += 1
            spec = document["spec"]
            pod = spec["template"]["spec"]
            restricted(pod)
            assert pod["automountServiceAccountToken"] is False and pod["restartPolicy"] == "Never"
            assert spec["ttlSecondsAfterFinished"] > 0 and "backoffLimit" in spec
            for volume in pod["volumes"]:
                if "configMap" in volume:
                    wanted = ("ConfigMap", document["metadata"]["namespace"], volume["configMap"]["name"])
                    assert wanted in names, wanted
            arguments = pod["containers"][0]["args"]
            if arguments[0] == "verify":
                assert "--set=x=a: b @ c" in arguments, arguments
            else:
                assert spec["completionMode"] == "Indexed" and spec["completions"] == 3
                assert arguments[-1] == "--shard=auto/3" and "*.tmp" in arguments, arguments
    # A schema that takes everything would prove nothing.
    try:
        kubernetes_validate.validate({**document, "spec": {**spec, "backofLimit": 1}}, VERSIONS[-1], strict=True)
    except kubernetes_validate.ValidationError:
        print(f"{jobs} Jobs, {configs} ConfigMaps")
        return
    raise AssertionError("a misspelt field was taken")


main()
