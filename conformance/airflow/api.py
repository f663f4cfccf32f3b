"""The server's own side: what it says of jobs and runs, asked without any client's library."""

import json
import os
import ssl
import urllib.request

TOKEN = os.environ.get("PINLAKE_TEST_TOKEN", "")


class Api:
    def __init__(self, url):
        self.url = url
        authority = os.environ.get("REQUESTS_CA_BUNDLE")
        self._tls = ssl.create_default_context(cafile=authority) if url.startswith("https:") else None

    def get(self, path, **query):
        url = f"{self.url}/api/2.1/{path}?{urllib.parse.urlencode(query)}"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {TOKEN}"})
        with urllib.request.urlopen(request, timeout=30, context=self._tls) as answer:
            return json.load(answer)

    def job(self, name):
        """The number of a job."""
        (job,) = self.get("jobs/list", name=name)["jobs"]
        return job["job_id"]

    def submitted(self):
        """The runs that clients submitted, the newest first."""
        return self.get("jobs/runs/list", run_type="SUBMIT_RUN", limit=25, expand_tasks="true")["runs"]
