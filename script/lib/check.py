"""The main job as a browser does it: log in, read the queues, launch, wait, run a cell, stop. One line of JSON on standard output."""

import asyncio
import json
import os
import pwd
import re
import shutil
import subprocess
import time
import uuid
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import aiohttp
from yarl import URL

LIMIT_S = 240
STEPS = ("login_s", "table_s", "submit_s", "ready_s", "cell_s", "stop_s")
CELL = """import json, os
print("CHECK " + json.dumps({"uid": os.getuid(), "cwd": os.getcwd(), "server": os.getppid(),
    "job": os.environ.get("SLURM_JOB_ID", ""), "partition": os.environ.get("SLURM_JOB_PARTITION", ""),
    "ours": sorted({"BACKENDAI_STATE", "BACKENDAI_PRIVATE_URL", "CONFIGPROXY_AUTH_TOKEN", "JUPYTERHUB_CRYPT_KEY"} & set(os.environ))}))"""
# what browsers say of a page that is opened, and of a call by its script
NAVIGATE = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
FETCH = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
OVER = ("COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "COMPLETING")


class Wrong(Exception):
    """What was seen is not what should be."""


def expect(condition, message):
    if not condition:
        raise Wrong(message)


class Page(HTMLParser):
    """Forms with their fields, and tables, of one page."""

    def __init__(self, url, text, status=200):
        super().__init__()
        self.url, self.text, self.status = url, text, status
        self.forms, self.tables, self.rows = [], [], {}
        self._select = self._option = self._cell = None
        self.feed(text)

    def handle_starttag(self, tag, pairs):
        attributes = dict(pairs)
        if tag == "form":
            self.forms.append({"action": attributes.get("action") or "", "fields": {}, "choices": {}})
        elif tag == "table":
            self.tables.append([])
        elif tag == "tr" and self.tables:
            self.tables[-1].append([])
            self.rows[attributes.get("data-queue")] = self.tables[-1][-1]
        elif tag in {"td", "th"} and self.tables and self.tables[-1]:
            self._cell = []
        elif self.forms and attributes.get("name") and tag in {"input", "select", "textarea"}:
            self._handle_field(tag, attributes)
        elif tag == "option" and self._select:
            self._option = [attributes, ""]

    def handle_endtag(self, tag):
        if tag in {"option", "select"} and self._option:
            attributes, text = self._option
            self._handle_choice(self._select, {"value": text.strip(), **attributes}, "selected")
            self._option = None
        if tag == "select":
            self._select = None
        elif tag in {"td", "th"} and self._cell is not None:
            self.tables[-1][-1].append(" ".join("".join(self._cell).split()))
            self._cell = None

    def handle_data(self, data):
        if self._cell is not None:
            self._cell.append(data)
        if self._option:
            self._option[1] += data

    def _handle_field(self, tag, attributes):
        name, kind = attributes["name"], attributes.get("type", "text")
        if tag == "select":
            self._select = name
        elif tag == "input" and kind == "radio":
            self._handle_choice(name, attributes, "checked")
        elif kind == "checkbox":
            if "checked" in attributes:
                self.forms[-1]["fields"][name] = attributes.get("value", "on")
        elif kind not in {"submit", "button"}:
            self.forms[-1]["fields"][name] = attributes.get("value") or ""

    def _handle_choice(self, name, attributes, chosen):
        form, value = self.forms[-1], attributes.get("value") or ""
        if "disabled" in attributes:
            return
        form["choices"].setdefault(name, []).append(value)
        if chosen in attributes or (chosen == "selected" and name not in form["fields"]):
            form["fields"][name] = value

    def find_form(self, *names):
        """The form that has these fields."""
        for form in self.forms:
            if all(name in form["fields"] or name in form["choices"] for name in names):
                return form
        raise Wrong(f"no form with {', '.join(names)} at {self.url}: {self.read_message()}")

    def read_message(self):
        """The words of the page, for a report."""
        text = re.sub(r"<(script|style|head)\b.*?</\1>|<[^>]+>", " ", self.text, flags=re.DOTALL)
        return " ".join(text.split())[:300]


class Browser:
    """Cookies, forms, and what the pages' scripts send."""

    def __init__(self, http):
        self.http = http

    async def get(self, url):
        async with self.http.get(url, headers=NAVIGATE, max_redirects=20) as answer:
            return await self._read(answer)

    async def post(self, page, form, **fields):
        url = urljoin(page.url, form["action"] or page.url)
        async with self.http.post(
            url, data={**form["fields"], **fields}, headers={**NAVIGATE, "Referer": page.url}, max_redirects=20
        ) as answer:
            return await self._read(answer)

    def xsrf(self, url):
        """The XSRF token that a script on that page reads from its cookie."""
        cookie = self.http.cookie_jar.filter_cookies(URL(url)).get("_xsrf")
        return cookie.value if cookie else ""

    async def call(self, method, page_url, path, body=None):
        """What a page's script sends to its own origin."""
        headers = {**FETCH, "X-XSRFToken": self.xsrf(page_url), "Referer": page_url}
        async with self.http.request(method, urljoin(page_url, path), json=body, headers=headers) as answer:
            text = await answer.text()
            self.expect_good(answer.status, f"{method} {path}", text)
            return answer.status, json.loads(text) if text.startswith(("{", "[")) else None

    async def events(self, page_url, path):
        """What the server tells of a start, until it ends the stream."""
        headers = {**FETCH, "Accept": "text/event-stream", "Referer": page_url}
        async with self.http.get(urljoin(page_url, path), params={"_xsrf": self.xsrf(page_url)}, headers=headers) as answer:
            expect(answer.status == 200, f"{path}: {answer.status}")
            async for line in answer.content:
                if line.startswith(b"data:"):
                    yield json.loads(line[5:])

    async def log_in(self, url, login, password, code):
        """Fill the form in at the hub; the page that follows."""
        page = await self.get(f"{url}/hub/login")
        form = page.find_form("username", "password", "otp")
        expect(form["fields"].get("_xsrf"), "the login form has no XSRF field")
        return await self.post(page, form, username=login, password=password, otp=code)

    def expect_good(self, status, what, text):
        """Raises Wrong for an answer that is an error."""
        expect(status < 400, f"{what}: {status} {text[:300]}")

    async def _read(self, answer):
        page = Page(str(answer.url), await answer.text(), answer.status)
        self.expect_good(answer.status, answer.url.path, page.read_message())
        return page


class Check:
    """The journey on a running instance."""

    def __init__(self, instance):
        self.instance = instance
        self.engine = "slurm" if instance.lab else "local"
        self.user = "kim01" if instance.lab else "user1"
        self.times = dict.fromkeys(STEPS)
        self.queue = self.base = self.progress = ""
        self.cell = {}

    def run(self):
        """Do it and print the line; whether all was well."""
        error = ""
        try:
            asyncio.run(asyncio.wait_for(self._journey(), LIMIT_S))
        except TimeoutError:
            error = f"not done after {LIMIT_S} s"
        except (Wrong, aiohttp.ClientError, OSError, ValueError, KeyError) as exc:
            error = f"{type(exc).__name__}: {exc}" if not isinstance(exc, Wrong) else str(exc)
        report(self.engine, self.times, error)
        return not error

    async def _journey(self):
        jar = aiohttp.CookieJar(unsafe=True)  # an address without a name
        headers = {"User-Agent": "Mozilla/5.0 (script/run --check)", "Accept": "text/html,*/*", "Accept-Language": "en"}
        async with aiohttp.ClientSession(cookie_jar=jar, headers=headers, timeout=aiohttp.ClientTimeout(total=LIMIT_S)) as http:
            browser = Browser(http)
            steps = (self._log_in, self._read_table, self._submit, self._wait_until_ready, self._run_cell, self._stop)
            state = None
            for name, step in zip(STEPS, steps, strict=True):
                started = time.monotonic()
                state = await step(browser, state)
                self.times[name] = round(time.monotonic() - started, 2)

    async def _log_in(self, browser, _):
        from jupyterhub_backendai.core import otp

        person = self.instance.people[self.user]
        code = otp.code_at(otp.parse_secret(person["otp"]), otp.step_of(time.time()))
        page = await browser.log_in(self.instance.url, person["login"], person["password"], code)
        expect("/hub/login" not in page.url, f"the login was refused: {page.read_message()}")
        return page

    async def _read_table(self, browser, _):
        page = await browser.get(f"{self.instance.url}/services/backendai/launch")
        form = page.find_form("queue")
        queues = form["choices"].get("queue", [])
        expect(len(queues) > 1, f"the form offers fewer than two queues: {queues}")
        self.queue = queues[1]
        expect(all(queue in page.rows for queue in queues), f"the table lacks queues of the form: {list(page.rows)}")
        figures = dict(zip(page.tables[0][0], page.rows[self.queue], strict=True))
        expect(re.fullmatch(r"\d+", figures["Waiting"]), f"the row of {self.queue} has no figures: {figures}")
        if self.instance.lab:
            nodes = {name: int(figures[name]) for name in ("Alloc", "Idle", "Down", "Total")}
            expect(sum(nodes.values()) == 2 * nodes["Total"] > 0, f"the nodes of {self.queue} do not add up: {nodes}")
        return page, form

    async def _submit(self, browser, state):
        page, form = state
        page = await browser.post(page, form, queue=self.queue)
        match = re.search(r"/hub/spawn-pending/([^/?]+)/?([^/?]*)", urlsplit(page.url).path)
        expect(match, f"no pending page but {page.url}: {page.read_message()}")
        user, server = match.groups()
        self.base = f"{self.instance.url}/user/{user}/{server}/".replace("//", "/").replace(":/", "://")
        self.server_path = f"/hub/api/users/{user}/servers/{server}" if server else f"/hub/api/users/{user}/server"
        return page

    async def _wait_until_ready(self, browser, page):
        path = self.server_path + "/progress"
        while True:
            async for event in browser.events(page.url, path):
                expect(not event.get("failed"), f"the session failed: {event.get('message')}")
                if event.get("ready"):
                    return urljoin(page.url, event["url"])
            await asyncio.sleep(0.5)  # the stream was cut, as it is while a hub restarts

    async def _run_cell(self, browser, url):
        page = await browser.get(url)
        expect(page.url.startswith(self.base), f"the notebook is not at {self.base} but {page.url}")
        _, kernel = await browser.call("POST", self.base, "api/kernels", {"path": ""})
        address = f"{self.base}api/kernels/{kernel['id']}/channels".replace("http", "ws", 1)
        async with browser.http.ws_connect(address, headers={"Origin": self.instance.url}, max_msg_size=0) as socket:
            printed = await asyncio.wait_for(execute(socket, CELL, "CHECK "), 60)
            self.cell = json.loads(printed.split("CHECK ", 1)[1].splitlines()[0])
        account = pwd.getpwnam(self.user) if self.instance.lab else self.instance.account
        root = self._user_root()
        expect(self.cell["uid"] == account.pw_uid, f"the cell runs as uid {self.cell['uid']}, not {account.pw_uid}")
        expect(self.cell["cwd"] == os.path.realpath(root / "workspace"), f"the cell runs in {self.cell['cwd']}, not {root}/workspace")
        expect(not self.cell["ours"], f"the session has the hub's variables: {self.cell['ours']}")
        if self.instance.lab:
            expect(self.cell["job"].isdigit(), "the cell knows no job id")
            expect(self.cell["partition"] == self.queue, f"the job is in {self.cell['partition']}, not {self.queue}")

    async def _stop(self, browser, _):
        home = f"{self.instance.url}/hub/home"
        await browser.get(home)
        await browser.call("DELETE", home, self.server_path)
        deadline = time.monotonic() + 60
        while not self._is_over():
            expect(time.monotonic() < deadline, "the engine says after 60 s that the session is still there")
            await asyncio.sleep(0.1)

    def _user_root(self):
        settings = self.instance.read_settings()
        return Path(settings.user_root.replace("{user}", self.user))

    def _is_over(self):
        """The engine's own word: Slurm's, or the process table's."""
        if not self.instance.lab:
            return not Path(f"/proc/{self.cell['server']}").exists()
        done = subprocess.run(
            [shutil.which("squeue") or "squeue", "-h", "-a", "-t", "all", "-j", self.cell["job"], "-o", "%T"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        states = done.stdout.split()
        return (done.returncode == 0 and all(state in OVER for state in states)) or "Invalid job id" in done.stderr


async def execute(socket, code, awaited):
    """Run a cell over a kernel's websocket; the output that holds what is awaited."""
    session = uuid.uuid4().hex
    header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "session": session, "username": "", "version": "5.3"}
    content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False, "stop_on_error": True}
    message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell", "buffers": []}
    await socket.send_json(message)
    async for frame in socket:
        if frame.type is not aiohttp.WSMsgType.TEXT:
            continue
        answer = json.loads(frame.data)
        if answer["parent_header"].get("msg_id") != header["msg_id"]:
            continue
        text = answer["content"].get("text", "")
        expect(answer["msg_type"] != "error", f"the cell failed: {answer['content'].get('evalue')}")
        if answer["msg_type"] == "stream" and awaited in text:
            return text
    raise Wrong("the kernel's connection ended")


def report(engine, times, error):
    print(json.dumps({"ok": not error, "engine": engine, **times, "error": error}, ensure_ascii=False), flush=True)


def report_failure(engine, error):
    """The line of a platform that did not even start."""
    lines = error.strip().splitlines()
    report(engine, dict.fromkeys(STEPS), " … ".join(dict.fromkeys([lines[0], lines[-1].strip()])))
