"""Long texts of HCL: the time that they take to check grows with their length."""

from environments.providers.opentofu.rules import module_faults


def test_a_module_of_half_a_megabyte_of_marks_is_checked() -> None:
    """Four megabytes is what a template may have; a look that grew with the square would take days."""
    for part in ("/*", "<<m1x\n", "a ", "${", 'x = "', "{"):
        text = part * (500_000 // len(part))
        list(module_faults({"main.tf": text.encode()}, {}, []))
