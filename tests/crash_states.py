"""Recording of a program's writes with strace, and the states that a power cut could leave of them.

The model of the disk is weaker than that of any common file system:
- Written data is safe after the `fsync` of its file. Before, each sector has any of its contents since the last
  `fsync`, and the file any of its lengths.
- A name is safe after the `fsync` of its folder. Before, either the first few of all changes of names have reached the
  disk, in their order (a journal, as in ext4), or of each folder any first few (as in f2fs).
"""
import os, re
from dataclasses import dataclass, field

CALLS = ("openat,open,creat,close,write,pwrite64,writev,pwritev,ftruncate,fallocate,rename,renameat,renameat2,unlink,"
         "unlinkat,mkdir,mkdirat,rmdir,fsync,fdatasync,sendto,sendmsg,dup,fcntl")
SECTOR = 512
REPLY = b"HTTP/1.1 "


def wrapper(trace):
    """Return the command that records a program's calls in the file `trace`."""
    return ["strace", "-f", "-qq", "-xx", "-s", str(1 << 24), "-o", trace, "-e", f"trace={CALLS}", "-e", "signal=none"]


@dataclass
class Call:
    name: str
    arguments: str
    result: int
    begin: int  # number of the line on which the call begins
    end: int  # and ends


def calls_of(trace):
    """Return the completed calls of a trace, in the order of their ends."""
    calls, unfinished = [], {}
    for number, line in enumerate(trace.read_text().splitlines()):
        process, _, rest = line.partition(" ")
        rest = rest.lstrip()
        if match := re.match(r"(\w+)\((.*) <unfinished \.\.\.>$", rest):
            unfinished[process] = (match[1], match[2], number)
            continue
        begin = number
        if match := re.match(r"<\.\.\. (\w+) resumed>(.*)$", rest):
            if process not in unfinished:
                continue
            name, first, begin = unfinished.pop(process)
            rest = f"{name}({first}{match[2]}"
        if match := re.match(r"(\w+)\((.*)\)\s+= (-?\d+)", rest):
            calls.append(Call(match[1], match[2], int(match[3]), begin, number))
    return calls


def strings(arguments):
    """Return the quoted strings of a call's arguments."""
    return [bytes(int(byte, 16) for byte in text.split("\\x")[1:]) for text in re.findall(r'"((?:\\x..)*)"', arguments)]


def numbers(arguments):
    """Return the arguments that are numbers."""
    return [int(word) for word in re.sub(r'"[^"]*"', "", arguments).split(",") if re.fullmatch(r"\s*-?\d+\s*", word)]


@dataclass
class Version:
    """A write or a change of the length. It is safe from line `safe` on."""
    line: int
    offset: int
    data: bytes
    length: int  # of the file afterwards
    safe: float = float("inf")


@dataclass
class File:
    first: bytes = b""  # the content at the start of the record, which is safe
    versions: list = field(default_factory=list)
    length: int = 0

    def __post_init__(self):
        self.length = len(self.first)


class Folder:
    pass


@dataclass
class Naming:
    """A change of the name of `thing`: its removal from one place (folder, name) and its addition at another."""
    line: int
    thing: object
    removed: tuple | None
    added: tuple | None
    safe: dict = field(default_factory=dict)  # the folder's id: the line from which its part is safe

    def apply_to(self, names):
        if self.removed:
            names.pop(self.removed, None)
        if self.added:
            names[self.added] = self.thing

    def folders(self):
        return {id(place[0]) for place in (self.removed, self.added) if place}


class Record:
    """The changes of the files below `top` in a trace."""

    def __init__(self, top, before, trace):
        """`before`: {path relative to `top`: content, or None for a folder}, all of it safe."""
        self.top, self.root, self.namings, self.replies, self.syncs = os.fsencode(top), Folder(), [], [], 0
        self.names = {}  # the current {(folder, name): thing}
        self.open = {}  # descriptor: [thing, path, offset]
        for path, content in sorted(before.items()):
            folder, name = self.place(os.path.join(self.top, os.fsencode(path)))
            self.names[folder, name] = Folder() if content is None else File(content)
        self.first = dict(self.names)
        for call in calls_of(trace):
            if call.result >= 0:
                getattr(self, call.name, lambda call: None)(call)
            self.last = call.end

    def whole(self, path):
        """Return a path of the program, which runs in the parent of `top`, in its shortest form."""
        return os.path.normpath(os.path.join(os.path.dirname(self.top), path))

    def place(self, path):
        """Return the folder and the name of a path, or None if it is elsewhere."""
        path = self.whole(path)
        if not path.startswith(self.top + b"/"):
            return None
        *parents, name = path[len(self.top) + 1:].split(b"/")
        folder = self.root
        for parent in parents:
            folder = self.names.get((folder, parent))
        return (folder, name) if folder else None

    def path_in(self, call):
        """Return the path of a call with a folder's descriptor first."""
        path = strings(call.arguments)[0]
        first = call.arguments.split(",")[0]
        opened = self.open.get(int(first)) if first.isdigit() else None
        return os.path.join(opened[1], path) if opened else path

    def openat(self, call):
        path = self.path_in(call)
        self.open.pop(call.result, None)
        place = self.place(path)
        if place is None:
            if self.whole(path) == self.top:
                self.open[call.result] = [self.root, path, 0]
            return
        thing = self.names.get(place)
        if thing is None and "O_CREAT" in call.arguments:
            thing = File()
            self.rename_to(call, thing, None, place)
        if isinstance(thing, File) and "O_TRUNC" in call.arguments and thing.length:
            self.cut(call, thing, 0)
        if thing is not None:
            appends = "O_APPEND" in call.arguments and isinstance(thing, File)
            self.open[call.result] = [thing, path, thing.length if appends else 0]

    def close(self, call):
        self.open.pop(int(call.arguments), None)

    def fcntl(self, call):
        if "F_DUPFD" in call.arguments and int(call.arguments.split(",")[0]) in self.open:
            self.open[call.result] = self.open[int(call.arguments.split(",")[0])]

    def write(self, call):
        data = b"".join(strings(call.arguments))[:call.result]
        if data.startswith(REPLY):
            self.replies.append((call.begin, data))
        opened = self.open.get(int(call.arguments.split(",")[0]))
        if opened and isinstance(opened[0], File):
            self.put(call, opened[0], opened[2], data)
            opened[2] += len(data)

    sendto = sendmsg = write

    def pwrite64(self, call):
        opened = self.open.get(int(call.arguments.split(",")[0]))
        if opened:
            self.put(call, opened[0], numbers(call.arguments)[-1], strings(call.arguments)[0][:call.result])

    def writev(self, call):
        raise NotImplementedError(call.name)

    pwritev = fallocate = writev

    def put(self, call, file, offset, data):
        file.length = max(file.length, offset + len(data))
        file.versions.append(Version(call.begin, offset, data, file.length))

    def cut(self, call, file, length):
        # The bytes beyond the end are zero if the file grows again.
        file.versions.append(Version(call.begin, length, bytes(max(0, file.length - length)), length))
        file.length = length

    def ftruncate(self, call):
        opened = self.open.get(int(call.arguments.split(",")[0]))
        if opened and opened[0].length != numbers(call.arguments)[-1]:
            self.cut(call, opened[0], numbers(call.arguments)[-1])

    def rename_to(self, call, thing, removed, added):
        self.namings.append(Naming(call.begin, thing, removed, added))
        self.namings[-1].apply_to(self.names)

    def rename(self, call):
        removed, added = map(self.place, strings(call.arguments))
        self.rename_to(call, self.names[removed], removed, added)

    renameat = renameat2 = rename

    def unlink(self, call):
        if (place := self.place(self.path_in(call))) in self.names:
            self.rename_to(call, self.names[place], place, None)

    unlinkat = rmdir = unlink

    def mkdir(self, call):
        if place := self.place(self.path_in(call)):
            self.rename_to(call, Folder(), None, place)

    mkdirat = mkdir

    def fsync(self, call):
        opened = self.open.get(int(call.arguments))
        if not opened:
            return
        self.syncs += 1
        if isinstance(opened[0], File):
            for version in opened[0].versions:
                if version.line < call.begin:
                    version.safe = min(version.safe, call.end)
        for naming in self.namings:
            if naming.line < call.begin and id(opened[0]) in naming.folders():
                naming.safe.setdefault(id(opened[0]), call.end)

    fdatasync = fsync


def contents(file, line, rng, loses):
    """Return a content that a file may have after a power cut at `line`."""
    versions = [version for version in file.versions if version.line < line]
    safe = max((number + 1 for number, version in enumerate(versions) if version.safe <= line), default=0)
    pending = versions[safe:]
    if loses == "nothing":
        kept, length = len(pending), len(pending)
    elif loses == "everything":
        kept, length = 0, 0
    else:
        kept, length = None, rng.randrange(len(pending) + 1)
    content = bytearray(file.first)
    for version in versions[:safe] + pending[:kept or 0]:
        apply(content, version.offset, version.data)
    if kept is None:
        sectors = {}
        for number, version in enumerate(pending):
            for sector in range(version.offset // SECTOR, -(-(version.offset + len(version.data)) // SECTOR)):
                sectors.setdefault(sector, []).append(number)
        # Each sector has the content after one of the writes to it, or before all of them.
        chosen = {sector: rng.choice([-1, *writes]) for sector, writes in sectors.items()}
        for number, version in enumerate(pending):
            for sector, last in chosen.items():
                begin = max(version.offset, sector * SECTOR)
                end = min(version.offset + len(version.data), (sector + 1) * SECTOR)
                if number <= last and begin < end:
                    apply(content, begin, version.data[begin - version.offset:end - version.offset])
    lengths = [len(file.first), *(version.length for version in versions)]
    length = lengths[safe + length]
    return bytes(content[:length]).ljust(length, b"\0")


def apply(content, offset, data):
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset:offset + len(data)] = data


def names(record, line, rng, loses):
    """Return the names that may exist after a power cut at `line`: {(folder, name): thing}."""
    namings = [naming for naming in record.namings if naming.line < line]
    is_safe = lambda naming, folder: naming.safe.get(folder, float("inf")) <= line
    result = dict(record.first)
    if loses in ("nothing", "everything", "a journal's end"):
        last_safe = max((number + 1 for number, naming in enumerate(namings)
                         if any(is_safe(naming, folder) for folder in naming.folders())), default=0)
        kept = {"nothing": len(namings), "everything": last_safe}.get(loses)
        for naming in namings[:rng.randrange(last_safe, len(namings) + 1) if kept is None else kept]:
            naming.apply_to(result)
        return result
    folders = {folder for naming in namings for folder in naming.folders()}
    kept = {}
    for folder in folders:
        own = [number for number, naming in enumerate(namings) if folder in naming.folders()]
        safe = max((number for number in own if is_safe(namings[number], folder)), default=-1)
        kept[folder] = rng.choice([safe, *(number for number in own if number > safe)])
    for number, naming in enumerate(namings):
        # A move between two folders is one change of a journal.
        if all(number <= kept[folder] for folder in naming.folders()):
            naming.apply_to(result)
    return result


KINDS = ("nothing", "everything", "a journal's end", "anything")


def write_state(record, line, kind, rng, into):
    """Write a state after a power cut at `line` into the folder `into`."""
    found = names(record, line, rng, kind)
    paths, waiting = {record.root: into}, list(found)
    while waiting:
        later = []
        for folder, name in waiting:
            if folder not in paths:
                later.append((folder, name))
                continue
            path, thing = paths[folder] / os.fsdecode(name), found[folder, name]
            if isinstance(thing, Folder):
                path.mkdir()
                paths[thing] = path
            else:
                path.write_bytes(contents(thing, line, rng, kind))
        if len(later) == len(waiting):
            return  # the rest is in folders without a name
        waiting = later
