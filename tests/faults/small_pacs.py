"""A PACS for two associations and 50 ms an instance, in a process of its own.

`python -m tests.faults.small_pacs PORT FOLDER NODE_PORT` runs until SIGTERM, and then prints how
many associations were open at once. It rejects none, so that one too many is seen.
"""

import json
import signal
import sys
from pathlib import Path

from tests.dicom_node.test_gentle import SmallPacs

ACCEPTS = 16


def main(port: str, folder: str, node_port: str) -> None:
    stopping = (signal.SIGTERM, signal.SIGINT)
    signal.pthread_sigmask(signal.SIG_BLOCK, stopping)
    returns = {"LIFEBOAT": ("127.0.0.1", int(node_port))}
    pacs = SmallPacs(Path(folder), port=int(port), return_addresses=returns, accepts=ACCEPTS)
    pacs.start()
    signal.sigwait(stopping)
    pacs.stop()
    print(json.dumps({"most_open": pacs.most_open}))


if __name__ == "__main__":
    main(*sys.argv[1:])
