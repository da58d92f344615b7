"""What every stage needs and none owns: errors, console, records, seeds, device, run store.

Imports nothing of hone, and no torch until a function that needs it is called.
"""
