#!/usr/bin/env python3
"""Takes the shell out of CI files: one file a step, and the environment that the CI would give it.

    steps.py FILE FOLDER INPUTS     INPUTS: a JSON object of inputs

Writes FOLDER/STEP.sh and FOLDER/STEP.env (NAME=VALUE, ended by NUL), checks what each format demands, and fails if
anything that comes from outside stands in shell text. Prints the steps in order, with their shell.
"""

import json
import pathlib
import re
import sys

import yaml

path, folder, inputs = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), json.loads(sys.argv[3])
folder.mkdir(parents=True, exist_ok=True)


def demand(condition, what):
    if not condition:
        sys.exit(f"{path}: {what}")


def write(name, shell, script, environment):
    for pasted in ("${{", "$[[", "$(params", "$(inputs"):
        demand(pasted not in script, f"step {name}: {pasted} stands in shell text")
    (folder / f"{name}.sh").write_text(script)
    (folder / f"{name}.env").write_bytes(b"".join(f"{key}={value}\0".encode() for key, value in environment.items()))
    print(name, shell)


def filled(text, pattern, values):
    def value(match):
        demand(match[1] in values, f"{match[0]} is no input")
        return values[match[1]]
    return re.sub(pattern, value, str(text))


def github():
    action = yaml.safe_load(path.read_text())
    demand({"name", "description", "inputs", "outputs", "runs"} <= set(action), "an action has a name, inputs, outputs and runs")
    demand(action["runs"]["using"] == "composite", "it is composite")
    for name, about in action["inputs"].items():
        demand("description" in about and "required" in about, f"input {name} is not described")
        demand(about["required"] or isinstance(about.get("default"), str), f"input {name} has no default")
    steps = {step.get("id"): step for step in action["runs"]["steps"]}
    for name, about in action["outputs"].items():
        step = re.fullmatch(r"\$\{\{ steps\.([\w-]+)\.outputs\.([\w-]+) \}\}", about["value"])
        demand(step and step[1] in steps, f"output {name} comes from no step")
        demand(re.search(rf"\b{step[2]}\b", steps[step[1]]["run"]), f"output {name} is never set")
    values = {name: about.get("default", "") for name, about in action["inputs"].items()} | inputs
    for number, step in enumerate(action["runs"]["steps"]):
        demand(step.get("shell") == "bash" and "name" in step, "a step of a composite action names its shell and itself")
        environment = {key: filled(value, r"\$\{\{ inputs\.([\w-]+) \}\}", values) for key, value in step.get("env", {}).items()}
        demand(all("${{" not in value for value in environment.values()), "an expression is not understood")
        write(f"{number}-{step.get('id', 'step')}", "bash", step["run"], environment)


def gitlab():
    spec, jobs = yaml.safe_load_all(path.read_text().replace("$[[", "__[["))
    declared = spec["spec"]["inputs"]
    for name, about in declared.items():
        demand(set(about or {}) <= {"default", "description", "options", "type", "regex"}, f"input {name}: a key that GitLab does not know")
    values = {name: (about or {}).get("default", "") for name, about in declared.items()} | inputs
    (name, job), = jobs.items()
    demand({"image", "script", "artifacts", "stage"} <= set(job), "the job has an image, a script and artifacts")
    demand(job["image"]["entrypoint"] == [""], "the image's entrypoint is not a shell, and GitLab needs one")
    demand(job["artifacts"]["when"] == "always" and "junit" in job["artifacts"]["reports"], "the report is kept when the job fails")
    environment = {key: filled(value, r"__\[\[ inputs\.([\w-]+) \]\]", values) for key, value in job["variables"].items()}
    demand(set(declared) - {"image", "stage", "job-name"} <=
           set(re.findall(r"__\[\[ inputs\.([\w-]+) \]\]", " ".join(job["variables"].values()))), "an input is not used")
    write("job", "sh", "set -e\n" + "\n".join(job["script"]) + "\n", environment)


def tekton():
    task = yaml.safe_load(path.read_text())
    demand(task["apiVersion"] == "tekton.dev/v1" and task["kind"] == "Task", "it is a Task")
    spec = task["spec"]
    values = {f"params.{param['name']}": inputs.get(param["name"], param.get("default", "")) for param in spec["params"]}
    for workspace in spec["workspaces"]:
        values[f"workspaces.{workspace['name']}.path"] = inputs.get(f"workspace-{workspace['name']}", "")
        values[f"workspaces.{workspace['name']}.bound"] = "true" if f"workspace-{workspace['name']}" in inputs else "false"
    for result in spec["results"]:
        values[f"results.{result['name']}.path"] = str(folder / f"result-{result['name']}")
    for step in spec["steps"]:
        security = step["securityContext"]
        demand(security["runAsNonRoot"] and security["readOnlyRootFilesystem"] and security["capabilities"]["drop"] == ["ALL"]
               and not security["allowPrivilegeEscalation"], "a step has rights that it does not need")
        environment = {entry["name"]: filled(entry["value"], r"\$\(([\w.-]+)\)", values) for entry in step["env"]}
        demand(step["script"].startswith("#!/bin/sh\n"), "a script says its shell")
        write(step["name"], "sh", step["script"], environment)


def jenkins():
    text = path.read_text()
    demand(text.count("{") == text.count("}") and text.count("(") == text.count(")"), "braces do not match")
    demand(not re.search(r'\bsh\s*\(?\s*"', text), "shell text in double quotes is filled in by Groovy")
    scripts = re.findall(r"\bsh '''(.*?)'''", text, re.DOTALL)
    demand(scripts and "junit " in text, "it runs something, and shows JUnit")
    environment = dict(re.findall(r"^\s+(\w+) = '([^']*)'$", text, re.MULTILINE))
    defaults = dict(re.findall(r"name: '(\w+)', defaultValue: '([^']*)'", text))
    write("pipeline", "sh", "set -e\n" + "\n".join(scripts) + "\n", defaults | environment | inputs)


{"action.yml": github, "convert.yml": gitlab, "task.yaml": tekton, "Jenkinsfile": jenkins}[path.name]()
