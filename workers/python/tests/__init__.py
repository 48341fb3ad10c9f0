"""Run them from the folder above: python3 -m unittest"""
