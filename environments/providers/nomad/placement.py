"""Says why groups of a job find no node."""

from environments.providers.nomad.ports import Evaluation, Job


def unplaced(job: Job, evaluation: Evaluation) -> str:
    """A clause for each group that found no node, joined by semicolons; "" if all found one."""
    drivers = {
        group["Name"]: sorted({task.get("Driver") or "" for task in group.get("Tasks") or ()})
        for group in job.get("TaskGroups") or ()
    }
    lines = []
    for group, why in evaluation.unplaced.items():
        wanted = drivers.get(group, [])
        if group in evaluation.without_drivers and wanted:
            several = "drivers" if len(wanted) > 1 else "driver"
            lines.append(f"group {group!r}: no node has the {several} {' and '.join(wanted)}")
        else:
            lines.append(f"group {group!r} finds no node: {why}")
    return "; ".join(lines)
