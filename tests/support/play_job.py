#!/usr/bin/env python3
"""Plays an Indexed Job of Kubernetes by processes of this machine.

    play_job.py YAML PROGRAM FOLDER [--kill INDEX]…

The pods' mount points become folders of the same names in FOLDER (where the test has put what volume claims and Secrets
hold; ConfigMaps are written), `vm2oci` becomes PROGRAM, and each container runs with nothing of this environment and at
most the memory of its limit. Where this is root's, it has the pod's user, no capability and a read-only root, too.
Indices, per-index retries, the pod failure policy and the limit of failed indices are those of the Job (kubernetes.io,
"Jobs"). --kill ends a pod's first try by SIGKILL. Prints the status as JSON: succeeded and failed indices, tries of each.
"""

import argparse
import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import time

import yaml

# Names of writable folders, "--", the program's words.
POD = """while [ "$1" != -- ]; do mount --bind "$1" "$1"; shift; done
shift
mount -o remount,bind,ro /
exec "$@"
"""


def in_folder(text, folder, mounts):
    for mount in sorted(mounts, key=len, reverse=True):
        if text == mount or text.startswith(mount + "/"):
            return f"{folder}{text}"
    return text


def may_mount():
    return os.geteuid() == 0 and subprocess.run(["unshare", "--mount", "true"], stderr=subprocess.DEVNULL).returncode == 0


def confined(words, container, folder):
    """The command with the rights of the container's securityContext."""
    security = container["securityContext"]
    assert security["runAsNonRoot"] and not security["allowPrivilegeEscalation"] and security["readOnlyRootFilesystem"]
    assert security["capabilities"] == {"drop": ["ALL"]} and security["seccompProfile"]["type"] == "RuntimeDefault"
    if os.geteuid() != 0:
        return words
    user, group = security["runAsUser"], security["runAsGroup"]
    writable = [f"{folder}{mount['mountPath']}" for mount in container["volumeMounts"] if not mount.get("readOnly")]
    for place in writable:
        for path in [pathlib.Path(place), *pathlib.Path(place).rglob("*")]:
            os.chown(path, user, group, follow_symlinks=False)
    words = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "--bounding-set=-all",
             "--inh-caps=-all", "--no-new-privs", *words]
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", POD, "pod", *writable, "--", *words] if may_mount() else words


def memory_limit(container):
    text = container["resources"]["limits"]["memory"]
    number, unit = text[:-2], {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}[text[-2:]]
    return int(number) * unit


def start(container, variables, folder, log):
    """A container's process; `variables` are those of its environment that the cluster finds out."""
    mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
    assert container["command"] == ["vm2oci"]
    words = [in_folder(word, folder, mounts) for word in container["args"]]
    environment = {entry["name"]: in_folder(entry["value"], folder, mounts) for entry in container["env"] if "value" in entry}
    environment.update(variables, PATH="/usr/sbin:/usr/bin:/sbin:/bin")
    memory = memory_limit(container)
    return subprocess.Popen(confined([f"{folder}/vm2oci", *words], container, folder),
                            cwd=in_folder(container["workingDir"], folder, mounts), env=environment, stdout=log, stderr=log,
                            stdin=subprocess.DEVNULL, start_new_session=True,
                            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (memory, memory)))


def prepare(folder, program, volumes, container, maps):
    """Folders for the pod's volumes; `maps` are the ConfigMaps by name."""
    paths = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    for volume in volumes:
        place = pathlib.Path(f"{folder}{paths[volume['name']]}")
        place.mkdir(parents=True, exist_ok=True)
        if "configMap" in volume:
            for name, text in maps[volume["configMap"]["name"]].items():
                (place / name).write_bytes(text.encode())
    if not pathlib.Path(folder, "vm2oci").exists():
        shutil.copy(program, f"{folder}/vm2oci")  # where other users find it
    for path in (pathlib.Path(folder).resolve(), pathlib.Path(folder).resolve().parent):
        path.chmod(path.stat().st_mode | 0o111)  # the test's own


def is_final(spec, code):
    for rule in spec["podFailurePolicy"]["rules"]:
        codes = rule.get("onExitCodes")
        if rule["action"] == "FailIndex" and codes and codes["operator"] == "In" and code in codes["values"]:
            return True
    return False


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("yaml", type=pathlib.Path)
    parser.add_argument("program")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--kill", type=int, action="append", default=[])
    wanted = parser.parse_args()
    documents = list(yaml.safe_load_all(wanted.yaml.read_text()))
    job = next(document for document in documents if document["kind"] == "Job")
    spec = job["spec"]
    pod = spec["template"]["spec"]
    container, = pod["containers"]
    maps = {document["metadata"]["name"]: document["data"] for document in documents if document["kind"] == "ConfigMap"}
    prepare(wanted.folder, wanted.program, pod["volumes"], container, maps)

    waiting, running, tries = list(range(spec["completions"])), {}, {}
    succeeded, failed = [], []
    while waiting or running:
        if len(failed) > spec["maxFailedIndexes"]:
            waiting = []
        while waiting and len(running) < spec["parallelism"]:
            index = waiting.pop(0)
            tries[index] = tries.get(index, 0) + 1
            log = open(wanted.folder / f"pod-{index}-{tries[index]}.log", "w")
            running[index] = start(container, {"JOB_COMPLETION_INDEX": str(index)}, str(wanted.folder), log)
            if index in wanted.kill and tries[index] == 1:
                os.killpg(running[index].pid, signal.SIGKILL)
        for index, process in list(running.items()):
            code = process.poll()
            if code is None:
                continue
            del running[index]
            code = code if code >= 0 else 128 - code
            if code == 0:
                succeeded.append(index)
            elif is_final(spec, code) or tries[index] > spec["backoffLimitPerIndex"]:
                failed.append(index)
            else:
                waiting.append(index)
        time.sleep(0.02)
    json.dump({"succeeded": sorted(succeeded), "failed": sorted(failed),
               "tries": [tries.get(index, 0) for index in range(spec["completions"])]}, sys.stdout)
    print()


if __name__ == "__main__":
    main()
