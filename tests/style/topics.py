#!/usr/bin/env python3
"""Holds what vm2oci explains to what it does: topics, their pages in the manual, and the options that texts speak of.

    topics.py VM2OCI BUILD-FOLDER

Every page of section 7 says what `vm2oci help` says of the topic, word for word, and mandoc finds nothing wrong with it;
every option that a topic, a tutorial, the README or a script for CI and pushes gives to vm2oci exists; every topic and
code that a text sends its reader to exists, too.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
# What other programs in the texts are called with.
OF_OTHERS = {"--plain-http", "--from-oci-layout", "--to-plain-http", "--wrap", "--rebuilddb", "--audit", "--verify-tag", "--examine",
             "--pbkdf-memory", "--config-file", "--reload-rules", "--name-match", "--runtime", "--no-api", "--config-file", "--preset",
             "--build", "--target", "--install", "--all", "--insecure", "--index", "--cacert", "--to-registry-config", "--image"}


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True, env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"}).stdout


def words(text):
    """The words of a page alone: without layout, marks of code and rules under headings."""
    text = text.replace("`", "").replace("\u00b7", "").replace("\u2022", "").replace("\u2019", "'").replace("\u2018", "'")
    return re.findall(r"\S+", re.sub(r"^\s*(-{2,}$|-(?= ))", " ", text, flags=re.MULTILINE))


def main():
    program, build = sys.argv[1], pathlib.Path(sys.argv[2])
    complaints = []
    listed = run(program, "help").split("\nTopics:\n")[1].split("\n\n")[0]
    topics = re.findall(r"^  ([\w-]+) {2,}\S", listed, re.MULTILINE)
    sources = sorted(path.stem for path in (ROOT / "tools/help").glob("*.md"))
    if sorted(topics) != sources:
        complaints.append(f"'vm2oci help' lists {sorted(topics)}, and tools/help has {sources}")

    for topic in topics:
        page = build / f"tools/man7/vm2oci-{topic}.7"
        linted = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], capture_output=True, text=True)
        # The page has no date: it is as old as the program.
        for line in linted.stdout.splitlines():
            if "missing date" not in line:
                complaints.append(line)
        shown = re.sub(r".\x08", "", run("mandoc", "-T", "utf8", "-O", "width=1000", str(page)))
        body = shown.split("DESCRIPTION")[1].split("SEE ALSO")[0].replace("\u00a0", " ").replace("\u2010", "-")
        text = run(program, "help", topic)
        text = text[text.index("\n\n"):]
        if words(body) != words(text):
            different = next((pair for pair in zip(words(text), words(body)) if pair[0] != pair[1]), "one is longer")
            complaints.append(f"{topic}: the manual and 'vm2oci help' differ: {different}")

    options = set()
    root = run(program, "--help")
    commands = re.findall(r"^  (\w[\w-]*) {2,}", root.split("\nCommands:\n")[1].split("\n\n")[0], re.MULTILINE)
    for command in commands:
        options.update(re.findall(r"--[a-z][\w-]*", run(program, command, "--help=all")))
    codes = {code for line in re.findall(r"^## (.*)$", (ROOT / "tools/help/errors.md").read_text(), re.MULTILINE) for code in line.split(", ")}
    texts = [*(ROOT / "tools/help").glob("*.md"), *(ROOT / "tools/tutorials").glob("*.md"), ROOT / "README.md",
             ROOT / "tools/ci/vm2oci-ci", *(ROOT / "tools/ci").rglob("*.yml"), *(ROOT / "tools/ci").rglob("*.yaml")]
    seen = 0
    for path in texts:
        text = path.read_text()
        name = path.relative_to(ROOT)
        for option in re.findall(r"(?<![\w-])--[a-z][\w-]*", text):
            seen += 1
            if option not in options and option not in OF_OTHERS and not re.search(
                    rf"(?:apt-get|sudo|sed|cosign|skopeo|crane|oras|curl|docker|podman|cryptsetup|tools/\S+|grep|git|kubectl|install)\b[^\n]*{option}\b", text):
                complaints.append(f"{name}: vm2oci has no option {option}")
        for word in re.findall(r"vm2oci help ([a-z0-9][\w-]*)", text):
            if word not in topics and word not in codes and word not in commands:
                complaints.append(f"{name}: 'vm2oci help {word}' shows nothing")
    for complaint in complaints:
        print(complaint)
    print(f"{len(topics)} topics, {len(options)} options, {seen} uses of options in {len(texts)} texts, {len(complaints)} complaints")
    return 1 if complaints or not topics or seen < 50 else 0


sys.exit(main())
