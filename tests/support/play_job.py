#!/usr/bin/env python3
"""Plays an Indexed Job of Kubernetes by processes of this machine.

    play_job.py YAML PROGRAM FOLDER [--kill INDEX]…

The pods' mount points become folders of the same names in FOLDER (where the test has put what volume claims and Secrets
hold; ConfigMaps are written), `vm2oci` becomes PROGRAM, and each container runs with nothing of this environment. Indices,
per-index retries, the pod failure policy and the limit of failed indices are those of the Job (kubernetes.io, "Jobs").
--kill ends a pod's first try by SIGKILL. Prints the status as JSON: succeeded and failed indices, tries of each.
"""

import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import yaml


def in_folder(text, folder, mounts):
    for mount in sorted(mounts, key=len, reverse=True):
        if text == mount or text.startswith(mount + "/"):
            return f"{folder}{text}"
    return text


def start(job, container, index, program, folder, log):
    mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
    assert container["command"] == ["vm2oci"]
    words = [in_folder(word, folder, mounts) for word in container["args"]]
    environment = {entry["name"]: in_folder(entry["value"], folder, mounts) for entry in container["env"]}
    environment["JOB_COMPLETION_INDEX"] = str(index)
    environment["PATH"] = "/usr/bin:/bin"
    return subprocess.Popen([program, *words], cwd=in_folder(container["workingDir"], folder, mounts), env=environment,
                            stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)


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
    paths = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    for volume in pod["volumes"]:
        place = pathlib.Path(f"{wanted.folder}{paths[volume['name']]}")
        place.mkdir(parents=True, exist_ok=True)
        if "configMap" in volume:
            for name, text in maps[volume["configMap"]["name"]].items():
                (place / name).write_text(text)

    waiting, running, tries = list(range(spec["completions"])), {}, {}
    succeeded, failed = [], []
    while waiting or running:
        if len(failed) > spec["maxFailedIndexes"]:
            waiting = []
        while waiting and len(running) < spec["parallelism"]:
            index = waiting.pop(0)
            tries[index] = tries.get(index, 0) + 1
            log = open(wanted.folder / f"pod-{index}-{tries[index]}.log", "w")
            running[index] = start(job, container, index, wanted.program, str(wanted.folder), log)
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
