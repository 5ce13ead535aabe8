/* Read byte by byte with read(2) into guarded memory: stdio would keep a copy in a buffer of its own.
 * At the prompt the terminal neither echoes nor edits nor sends signals, so that no signal can leave it silent; what a
 * person expects of a line (erase, kill, interrupt, end) is done here. */
#include "common/seal/passphrase.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "common/seal/key_file.h"
#include "common/seal/locked.h"

enum { CTRL_C = 0x03, CTRL_D = 0x04, BACKSPACE = 0x08, CTRL_U = 0x15, DELETE = 0x7f };

int fed_passphrase_new(struct fed_passphrase **out, struct fed_error *err) {
    void *memory;
    if (fed_locked_new(&memory, sizeof(struct fed_passphrase)) != 0) {
        return fed_error_set(err, FED_ENOMEM, "no memory for a passphrase");
    }
    memset(memory, 0, sizeof(struct fed_passphrase));
    *out = memory;
    return 0;
}

void fed_passphrase_free(struct fed_passphrase *passphrase) { fed_locked_free(passphrase); }

static ssize_t read_byte(int fd, char *byte) {
    ssize_t got;
    do {
        got = read(fd, byte, 1);
    } while (got < 0 && errno == EINTR);
    return got;
}

static int check_length(const struct fed_passphrase *passphrase, bool too_long, const char *whose, struct fed_error *err) {
    if (too_long) {
        return fed_error_set(err, FED_ECONFIG, "%s: the passphrase is longer than %d bytes", whose, FED_PASSPHRASE_MAX - 1);
    }
    return passphrase->n > 0 ? 0 : fed_error_set(err, FED_ECONFIG, "%s: the passphrase is empty", whose);
}

/* -- from a file ------------------------------------------------------------------------------------------------------- */

static int read_line(struct fed_passphrase *passphrase, int fd, const char *file, const char *whose, struct fed_error *err) {
    bool too_long = false;
    char byte;
    ssize_t got;
    while ((got = read_byte(fd, &byte)) > 0 && byte != '\n' && !too_long) {
        too_long = passphrase->n == FED_PASSPHRASE_MAX - 1;
        if (!too_long) {
            passphrase->text[passphrase->n++] = byte;
        }
    }
    byte = 0;
    if (got < 0) {
        return fed_error_set(err, FED_EIO, "%s: cannot read the passphrase: %s", file, strerror(errno));
    }
    if (passphrase->n > 0 && passphrase->text[passphrase->n - 1] == '\r') {
        passphrase->text[--passphrase->n] = '\0';
    }
    return check_length(passphrase, too_long, whose, err);
}

static int open_file(int *fd, const char *file, struct fed_error *err) {
    struct stat st;
    int opened = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (opened < 0 || fstat(opened, &st) != 0) {
        int why = errno;
        if (opened >= 0) {
            close(opened);
        }
        return fed_error_set(err, FED_ECONFIG, "--passphrase-file %s: %s", file, strerror(why));
    }
    /* a pipe, as <(command) gives one, is nobody's file */
    int rc = S_ISFIFO(st.st_mode) ? 0 : fed_secret_file_check(opened, file, "passphrase file", err);
    if (rc != 0) {
        close(opened);
        return rc;
    }
    *fd = opened;
    return 0;
}

static int from_file(struct fed_passphrase *passphrase, const char *file, const char *whose, struct fed_error *err) {
    int fd = STDIN_FILENO;
    int rc = strcmp(file, "-") == 0 ? 0 : open_file(&fd, file, err);
    if (rc == 0) {
        rc = read_line(passphrase, fd, file, whose, err);
    }
    if (fd != STDIN_FILENO) {
        close(fd);
    }
    return rc;
}

/* -- from the terminal ------------------------------------------------------------------------------------------------- */

static void say(int tty, const char *text) {
    ssize_t wrote = write(tty, text, strlen(text)); /* a terminal that takes no prompt still gives a line */
    (void)wrote;
}

/* 0: the line is complete; else why it is not. */
static int type_line(struct fed_passphrase *passphrase, int tty, bool *too_long) {
    char byte;
    while (read_byte(tty, &byte) > 0 && byte != CTRL_C && byte != CTRL_D) {
        if (byte == '\n' || byte == '\r') {
            return 0;
        }
        if (byte == CTRL_U) {
            sodium_memzero(passphrase->text, sizeof passphrase->text);
            passphrase->n = 0;
        } else if (byte == DELETE || byte == BACKSPACE) {
            passphrase->text[passphrase->n > 0 ? --passphrase->n : 0] = '\0';
        } else if (passphrase->n < FED_PASSPHRASE_MAX - 1) {
            passphrase->text[passphrase->n++] = byte;
        } else {
            *too_long = true;
        }
        byte = 0;
    }
    return FED_EINTERRUPTED;
}

static int prompt(struct fed_passphrase *passphrase, int tty, const char *question, const char *whose,
                  struct fed_error *err) {
    struct termios before, silent;
    bool too_long = false;
    if (tcgetattr(tty, &before) != 0) {
        return fed_error_set(err, FED_EIO, "%s: cannot ask for the passphrase: %s", whose, strerror(errno));
    }
    silent = before;
    silent.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG);
    silent.c_cc[VMIN] = 1;
    silent.c_cc[VTIME] = 0;
    if (tcsetattr(tty, TCSAFLUSH, &silent) != 0) {
        return fed_error_set(err, FED_EIO, "%s: cannot turn the echo off: %s", whose, strerror(errno));
    }
    say(tty, question);
    say(tty, whose);
    say(tty, ": ");
    int rc = type_line(passphrase, tty, &too_long);
    say(tty, "\n");
    tcsetattr(tty, TCSAFLUSH, &before);
    if (rc != 0) {
        return fed_error_set(err, rc, "%s: no passphrase was given", whose);
    }
    return check_length(passphrase, too_long, whose, err);
}

static int prompt_again(const struct fed_passphrase *passphrase, int tty, const char *whose, struct fed_error *err) {
    struct fed_passphrase *again = NULL;
    int rc = fed_passphrase_new(&again, err);
    if (rc == 0) {
        rc = prompt(again, tty, "The same passphrase again for ", whose, err);
    }
    if (rc == 0 && (again->n != passphrase->n || sodium_memcmp(again->text, passphrase->text, again->n) != 0)) {
        rc = fed_error_set(err, FED_ECONFIG, "%s: the two passphrases differ", whose);
    }
    fed_passphrase_free(again);
    return rc;
}

static int from_terminal(struct fed_passphrase *passphrase, const char *whose, bool is_new, struct fed_error *err) {
    int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (tty < 0) {
        return fed_error_set(err, FED_ECONFIG,
                             "%s: needs its passphrase, and there is no terminal to ask on: give --passphrase-file FILE, or "
                             "- for standard input",
                             whose);
    }
    int rc = prompt(passphrase, tty, is_new ? "New passphrase for " : "Passphrase for ", whose, err);
    if (rc == 0 && is_new) {
        rc = prompt_again(passphrase, tty, whose, err);
    }
    close(tty);
    return rc;
}

int fed_passphrase_get(struct fed_passphrase **out, const char *file, const char *whose, bool is_new,
                       struct fed_error *err) {
    struct fed_passphrase *passphrase = NULL;
    int rc = fed_passphrase_new(&passphrase, err);
    if (rc == 0) {
        rc = file != NULL ? from_file(passphrase, file, whose, err) : from_terminal(passphrase, whose, is_new, err);
    }
    if (rc != 0) {
        fed_passphrase_free(passphrase);
        return rc;
    }
    *out = passphrase;
    return 0;
}
