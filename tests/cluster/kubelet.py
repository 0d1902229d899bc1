#!/usr/bin/env python3
"""Plays the kubelet for the pods of a Job that a real API server and its controllers run: each pod is a process of this
machine, as play_job.py starts it, and its end is told to the API server.

    kubelet.py SERVER TOKEN NAMESPACE JOB PROGRAM FOLDER [--kill INDEX]… [--evict INDEX]…

Ends when the Job is complete or has failed, and prints its status as JSON. --kill ends the first pod of an index by
SIGKILL, --evict asks the API server to evict it.
"""

import argparse
import datetime
import json
import os
import pathlib
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import play_job  # noqa: E402

from api import Api  # noqa: E402

INDEX = "batch.kubernetes.io/job-completion-index"


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Kubelet:
    def __init__(self, wanted):
        self.wanted, self.api = wanted, Api(wanted.server, wanted.token)
        self.pods = f"/api/v1/namespaces/{wanted.namespace}/pods"
        self.running, self.ended, self.first = {}, set(), {}

    def tell(self, pod, phase, state):
        container = pod["spec"]["containers"][0]
        status = {"phase": phase, "containerStatuses": [{"name": container["name"], "image": container["image"], "imageID": "",
                                                         "ready": phase == "Running", "restartCount": 0, "state": state}]}
        self.api.may_be_gone("PATCH", f"{self.pods}/{pod['metadata']['name']}/status", {"status": status},
                             kind="application/strategic-merge-patch+json")

    def variables(self, pod):
        """What the pod's environment has of its own metadata."""
        found = {}
        for entry in pod["spec"]["containers"][0]["env"]:
            path = entry.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
            if path:
                assert INDEX in path, path
                found[entry["name"]] = pod["metadata"]["annotations"][INDEX]
        return found

    def begin(self, pod):
        name, index = pod["metadata"]["name"], int(pod["metadata"]["annotations"][INDEX])
        container, = pod["spec"]["containers"]
        self.api.call("POST", f"{self.pods}/{name}/binding", {
            "apiVersion": "v1", "kind": "Binding", "metadata": {"name": name},
            "target": {"apiVersion": "v1", "kind": "Node", "name": "this-machine"}})
        log = open(pathlib.Path(self.wanted.folder, f"{self.wanted.job}-{index}-{name}.log"), "w")
        process = play_job.start(container, self.variables(pod), self.wanted.folder, log)
        self.running[name] = (pod, process, now())
        self.tell(pod, "Running", {"running": {"startedAt": now()}})
        if self.first.setdefault(index, name) == name:
            if index in self.wanted.kill:
                os.killpg(process.pid, signal.SIGKILL)
            if index in self.wanted.evict:
                self.api.call("POST", f"{self.pods}/{name}/eviction",
                              {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}})

    def watch(self):
        # Those of earlier Jobs are still there.
        of_job = f"{self.pods}?labelSelector=batch.kubernetes.io/job-name%3D{self.wanted.job}"
        seen = {pod["metadata"]["name"]: pod for pod in self.api.call("GET", of_job)["items"]}
        for name, pod in seen.items():
            going = "deletionTimestamp" in pod["metadata"]
            if name not in self.running and name not in self.ended and not going:
                self.begin(pod)
            elif name in self.running and going:
                os.killpg(self.running[name][1].pid, signal.SIGTERM)
        for name, (pod, process, began) in list(self.running.items()):
            code = process.poll()
            if code is None:
                continue
            code = code if code >= 0 else 128 - code
            del self.running[name]
            self.ended.add(name)
            self.tell(pod, "Failed" if code else "Succeeded",
                      {"terminated": {"exitCode": code, "reason": "Error" if code else "Completed", "startedAt": began, "finishedAt": now()}})
        for name, pod in seen.items():  # a kubelet has the last word on what is deleted
            if "deletionTimestamp" in pod["metadata"] and name not in self.running:
                self.api.may_be_gone("DELETE", f"{self.pods}/{name}", {"gracePeriodSeconds": 0})

    def run(self):
        jobs = f"/apis/batch/v1/namespaces/{self.wanted.namespace}/jobs/{self.wanted.job}"
        job = self.api.call("GET", jobs)
        spec = job["spec"]["template"]["spec"]
        container, = spec["containers"]
        maps = {name: self.api.call("GET", f"/api/v1/namespaces/{self.wanted.namespace}/configmaps/{name}")["data"]
                for volume in spec["volumes"] for name in [volume.get("configMap", {}).get("name")] if name}
        play_job.prepare(self.wanted.folder, self.wanted.program, spec["volumes"], container, maps)
        while True:
            self.watch()
            status = self.api.call("GET", jobs)["status"]
            conditions = [each["type"] for each in status.get("conditions", []) if each["status"] == "True"]
            if ("Complete" in conditions or "Failed" in conditions) and not self.running:
                return status
            time.sleep(0.2)


def main():
    parser = argparse.ArgumentParser()
    for name in ("server", "token", "namespace", "job", "program", "folder"):
        parser.add_argument(name)
    parser.add_argument("--kill", type=int, action="append", default=[])
    parser.add_argument("--evict", type=int, action="append", default=[])
    json.dump(Kubelet(parser.parse_args()).run(), sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
