"""What one operation can cause at most, whatever the guest does: derived, and searched for.

`bounds` derives it from a tree and its discipline. `hostile` is the space of legal guests and what
a removal costs against one of them, `hunting` looks for the worst of them, `showing` puts both side
by side: what is found must not be beyond what is derived.
"""
