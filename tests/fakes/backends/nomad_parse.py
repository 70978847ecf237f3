"""As much of HCL as tests with a Nomad in memory need."""

import json
import re
from typing import Any
from uuid import uuid4

from environments.domain.errors import InvalidJob
from environments.providers.nomad.ports import Job


def parse(text: str, variables: str) -> Job:
    """One group with its tasks, services' names, templates' data (all of the first task), canaries and lifecycles."""
    values = {
        name: json.loads(re.sub(r"\\U([0-9a-f]{8})", lambda found: chr(int(found[1], 16)), value))
        for name, value in re.findall(r"(?m)^(\w+) = (.*)$", variables)
    }
    values = {**dict.fromkeys(re.findall(r'variable "(\w+)"', text), 1), **values}
    label = re.search(r'job "([^"]+)"', text)
    if label is None or text.count("{") != text.count("}"):
        raise InvalidJob("Nomad rejects the job: the job file can't be parsed.")

    def filled(quoted: str) -> str:
        quoted = re.sub(r"\$\{uuidv4\(\)\}", lambda found: str(uuid4()), quoted)
        return re.sub(r"\$\{var\.(\w+)\}", lambda found: str(values[found[1]]), quoted)

    kind = re.search(r'type\s*=\s*"(service|batch|system|sysbatch)"', text)
    count = re.search(r"count\s*=\s*(?:var\.(\w+)|(\d+))", text)
    number = values[count[1]] if count and count[1] else count[2] if count else 1
    if not re.fullmatch(r"-?\d+", str(number)):
        raise InvalidJob("Nomad rejects the job: the count is no number.")
    namespace = re.search(r'namespace\s*=\s*"([^"]*)"', text)
    services = re.findall(r'service\s*\{\s*name\s*=\s*"([^"]*)"', text)
    templates = re.findall(r'data\s*=\s*"([^"]*)"', text)
    image = re.search(r'image\s*=\s*(?:var\.(\w+)|"([^"]*)")', text)
    config = {"image": str(values[image[1]] if image[1] else image[2])} if image else {}
    canary = re.search(r"canary\s*=\s*(\d+)", text)
    update: dict[str, Any] = {"MaxParallel": 1, "HealthCheck": "checks"}
    if canary:
        itself = bool(re.search(r"auto_promote\s*=\s*true", text))
        update |= {"Canary": int(canary[1]), "AutoPromote": itself}
    tasks = [_task(name, block) for name, block in re.findall(r'(?s)task "(\w+)"(.*?)(?=task "|\Z)', text)]
    first = {
        "Name": "task",
        "Config": config,
        "Templates": [
            {"DestPath": f"local/{number}", "EmbeddedTmpl": filled(data)} for number, data in enumerate(templates)
        ],
    }
    network = re.search(r'network\s*\{\s*mode\s*=\s*"(\w+)"', text)
    return {
        "ID": label[1],
        "Name": label[1],
        "Namespace": namespace[1] if namespace else "default",
        "Type": kind[1] if kind else "service",
        "TaskGroups": [
            {
                "Name": "group",
                "Count": int(number),
                "Update": update,
                "Networks": [{"Mode": network[1]}] if network else [],
                "Services": [{"Name": filled(name), "Provider": "consul"} for name in services],
                "Tasks": [first | task for task in tasks[:1]] + tasks[1:] or [first],
            }
        ],
    }


def _task(name: str, block: str) -> dict[str, Any]:
    task: dict[str, Any] = {"Name": name}
    if hook := re.search(r'hook\s*=\s*"(\w+)"', block):
        task["Lifecycle"] = {"Hook": hook[1], "Sidecar": bool(re.search(r"sidecar\s*=\s*true", block))}
    for key, field in (("kill_timeout", "KillTimeout"), ("shutdown_delay", "ShutdownDelay")):
        if found := re.search(rf'{key}\s*=\s*"(\d+)s"', block):
            task[field] = int(found[1]) * 1_000_000_000
    return task
