# From what a program's --help says to what may be completed, for bash and zsh alike. Variables: program ("fedavg roster"),
# action ("add", or nothing). Lines of four fields, separated by tabs:
#
#     action    NAME     -      -
#     option    --json   TYPE   what --help says of it      TYPE: nothing, files, dirs, yaml, other, or words:A,B,C
#     argument  -        TYPE   -                           TYPE: files, dirs, yaml, runs
#
# The synopsis stands in front, up to the first empty line; an action's part of it begins with the program's and the action's
# names. Options of an action are those of its part, and those that stand below "for all of them:".
function type_of(argument) {
    if (argument == "") return "nothing"
    if (argument ~ /\.yaml/) return "yaml"
    if (argument ~ /FILE/) return "files"
    if (argument ~ /DIR/) return "dirs"
    if (argument ~ /^[a-z]+(\|[a-z]+)+$/) {
        gsub(/\|/, ",", argument)
        return "words:" argument
    }
    return "other"
}

# The options in a text, each with its argument: the word that stands one space behind it.
function read_options(text,  option, rest, argument) {
    while (match(text, /--[a-z][a-z-]*/)) {
        option = substr(text, RSTART, RLENGTH)
        rest = substr(text, RSTART + RLENGTH)
        sub(/^\)/, "", rest)
        argument = ""
        if (match(rest, /^ [A-Za-z][^] )[]*/)) argument = substr(rest, 2, RLENGTH - 1)
        if (!(option in type)) order[++n_options] = option
        if (!(option in type) || type[option] == "nothing") type[option] = type_of(argument)
        text = rest
    }
}

function read_arguments(text) {
    gsub(/--[a-z][a-z-]*\)? [A-Za-z][^] )[]*/, "", text)
    gsub(/--[a-z][a-z-]*/, "", text)
    if (text ~ /\.yaml/) argument["yaml"]
    if (text ~ /(^|[^A-Z])RUN([^A-Z]|$)/) argument["runs"]
    if (text ~ /(^|[^A-Z])(FILE|MODEL)([^A-Z]|$)/) argument["files"]
    if (text ~ /(^|[^A-Z])DIR([^A-Z]|$)/) argument["dirs"]
}

{
    line = $0
    sub(/^usage: /, "", line)
    bare = line
    sub(/^ +/, "", bare)
}
# Where a synopsis begins: "fedavg roster add NAME ...".
index(bare, program " ") == 1 {
    in_synopsis = 1
    rest = substr(bare, length(program) + 2)
    name = rest
    sub(/ .*/, "", name)
    is_action = name ~ /^[a-z]+$/
    if (is_action && !(name in known)) {
        known[name]
        if (action == "") print "action\t" name "\t-\t-"
    }
    ours = action == "" ? !is_action : name == action
    if (ours) {
        sub(/   *.*/, "", rest) # what is said about it
        read_options(rest)
        read_arguments(rest)
    }
    next
}
bare == "" {
    in_synopsis = 0
    common = 0
    next
}
in_synopsis && line ~ /^      / { # goes on
    if (ours && bare ~ /^[[(-]/) {
        read_options(bare)
        read_arguments(bare)
    }
    next
}
{ in_synopsis = 0 }
bare ~ /^for all of them/ {
    common = 1
    next
}
# What is said about an option; without actions it is named here for the first time, maybe.
bare ~ /^--[a-z]/ {
    option = bare
    sub(/[^a-z-].*/, "", option)
    rest = substr(bare, length(option) + 1)
    if (action != "" && common || action == "" && !(option in type)) {
        head = bare
        sub(/   *.*/, "", head)
        read_options(head)
    }
    if (sub(/^.*   */, "", rest) && !(option in said)) said[option] = rest
}
END {
    if (!("--help" in type)) {
        order[++n_options] = "--help"
        type["--help"] = "nothing"
        said["--help"] = "what it does"
    }
    for (i = 1; i <= n_options; i++)
        print "option\t" order[i] "\t" type[order[i]] "\t" (order[i] in said ? said[order[i]] : "-")
    for (name in argument) print "argument\t-\t" name "\t-"
}
