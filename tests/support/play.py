"""Plays lines on a running engine with python-osc, and prints each answer as a line of JSON.

    play.py PORT LINE...

A line is an address and its arguments; words that look like numbers are numbers. A line that begins with
"+SECONDS" is sent as a bundle whose time tag lies so far after the start of this program; its answer is waited
for as well. No answer within a minute ends the program with an error.
"""

import json
import socket
import sys
import time

from pythonosc.osc_bundle_builder import OscBundleBuilder
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

WATCHDOG_S = 60


def number_or_text(word):
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            pass
    return word


def packet(line, start_s):
    words = line.split()
    ahead_s = float(words.pop(0)[1:]) if words[0].startswith("+") else None
    message = OscMessageBuilder(address=words[0])
    for word in words[1:]:
        message.add_arg(number_or_text(word))
    if ahead_s is None:
        return message.build().dgram
    bundle = OscBundleBuilder(start_s + ahead_s)
    bundle.add_content(message.build())
    return bundle.build().dgram


def main():
    start_s = time.time()
    engine = ("127.0.0.1", int(sys.argv[1]))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(WATCHDOG_S)
        for line in sys.argv[2:]:
            sock.sendto(packet(line, start_s), engine)
            answer = OscMessage(sock.recv(65536))
            print(json.dumps([answer.address, *answer.params]), flush=True)


main()
