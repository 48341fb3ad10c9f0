"""Run them from the folder above: python3 -m unittest"""

from backline import process

# As `python -m backline` does: what tests load finds a process like that of a zygote.
process.stay_one_thread()
