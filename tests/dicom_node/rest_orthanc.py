"""What only its REST interface can do to an Orthanc."""

import http.client
import json


class RestOrthanc:
    """The REST interface of one Orthanc."""

    def __init__(self, port: int) -> None:
        self._port = port

    def call(self, method: str, path: str, body: str | None = None):
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.request(method, path, body)
            return json.loads(connection.getresponse().read() or "null")
        finally:
            connection.close()

    def instances(self) -> list[str]:
        return self.call("GET", "/instances")

    def uids(self) -> set[str]:
        return {
            self.call("GET", f"/instances/{i}/simplified-tags")["SOPInstanceUID"]
            for i in self.instances()
        }
