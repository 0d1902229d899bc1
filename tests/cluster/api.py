#!/usr/bin/env python3
"""Applies YAML to a Kubernetes API server, server-side and strict: unknown or double fields are refused.

    api.py SERVER TOKEN NAMESPACE [--dry-run] < YAML
"""

import argparse
import json
import ssl
import sys
import time
import urllib.error
import urllib.request

import yaml

OF_THE_CLUSTER = ("CustomResourceDefinition", "Namespace", "Node", "PersistentVolume")


class Api:
    def __init__(self, server, token):
        self.server, self.token = server, token
        self.context = ssl.create_default_context()
        self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE  # on loopback, made for this test

    def call(self, method, path, body=None, kind="application/json"):
        request = urllib.request.Request(self.server + path, method=method, data=None if body is None else json.dumps(body).encode(),
                                         headers={"Authorization": "Bearer " + self.token, "Content-Type": kind})
        with urllib.request.urlopen(request, context=self.context) as answer:
            return json.load(answer)

    def may_be_gone(self, *arguments, **named):
        try:
            return self.call(*arguments, **named)
        except urllib.error.HTTPError as error:
            if error.code not in (404, 409):
                raise
            return None

    def apply(self, thing, namespace, dry_run=False):
        version = thing["apiVersion"]
        path = f"/apis/{version}" if "/" in version else f"/api/{version}"
        if thing["kind"] not in OF_THE_CLUSTER:
            path += f"/namespaces/{namespace}"
        path += f"/{thing['kind'].lower()}s/{thing['metadata']['name']}?fieldManager=vm2oci-test&fieldValidation=Strict"
        return self.call("PATCH", path + ("&dryRun=All" if dry_run else ""), thing, kind="application/apply-patch+yaml")


def main():
    parser = argparse.ArgumentParser()
    for name in ("server", "token", "namespace"):
        parser.add_argument(name)
    parser.add_argument("--dry-run", action="store_true")
    wanted = parser.parse_args()
    api = Api(wanted.server, wanted.token)
    for thing in yaml.safe_load_all(sys.stdin):
        for left in range(50, -1, -1):  # a definition takes a moment until its objects are known
            try:
                api.apply(thing, wanted.namespace, wanted.dry_run)
                break
            except urllib.error.HTTPError as error:
                if error.code == 404 and left:
                    time.sleep(0.2)
                    continue
                sys.exit(f"{thing['kind']} {thing['metadata']['name']}: {json.load(error).get('message')}")
        print(f"{thing['kind']} {thing['metadata']['name']}: applied")


if __name__ == "__main__":
    main()
