/* Digests, identities and the seal: known answers from an independent implementation (tests/vectors/seal.py), then all
 * that must not open, parse or load. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/seal/digest.h"
#include "common/seal/key_file.h"
#include "common/seal/keys.h"
#include "common/seal/locked.h"
#include "common/seal/seal.h"
#include "tests/unit/named_vectors.h"

#define ANSWERS FED_VECTORS "/seal.txt"

static void known_bytes(uint8_t *out, size_t n, const char *name) {
    ck_assert_msg(vector_bytes(out, n, ANSWERS, name), "no %s in " ANSWERS, name);
}

static void known_text(char out[VECTOR_MAX], const char *name) {
    ck_assert_msg(vector_text(out, ANSWERS, name), "no %s in " ANSWERS, name);
}

/* ---- a directory of its own for each test ---- */

static char dir[64];

static void make_dir(void) {
    ck_assert_int_eq(fed_seal_setup(NULL), 0);
    strcpy(dir, "/tmp/fedavg-check-seal-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void remove_dir(void) {
    static const char *const names[] = {"key", "link", "fifo"};
    char path[96];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
    ck_assert_int_eq(rmdir(dir), 0);
}

static const char *in_dir(const char *name) {
    static char path[96];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void write_file(const char *path, const char *bytes, size_t n, mode_t mode) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes, n), (ssize_t)n);
    ck_assert_int_eq(fchmod(fd, mode), 0);
    ck_assert_int_eq(close(fd), 0);
}

/* ---- digests ---- */

START_TEST(digest_matches_the_known_answer_whole_and_in_pieces) {
    uint8_t expected[FED_DIGEST_BYTES], whole[FED_DIGEST_BYTES], pieces[FED_DIGEST_BYTES];
    known_bytes(expected, sizeof expected, "digest_abc");
    fed_digest(whole, "abc", 3);
    ck_assert_mem_eq(whole, expected, sizeof expected);

    uint8_t bytes[1000];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 31);
    }
    fed_digest(whole, bytes, sizeof bytes);
    for (size_t cut = 0; cut <= sizeof bytes; cut += 50) {
        struct fed_digest_state state;
        fed_digest_init(&state);
        fed_digest_update(&state, bytes, cut);
        fed_digest_update(&state, bytes + cut, sizeof bytes - cut);
        fed_digest_final(pieces, &state);
        ck_assert_mem_eq(pieces, whole, sizeof whole);
    }
}
END_TEST

START_TEST(hex_is_lower_case_and_ended) {
    char out[9];
    memset(out, 'x', sizeof out);
    fed_hex(out, (const uint8_t[]){0x00, 0x9f, 0xa0, 0xff}, 4);
    ck_assert_str_eq(out, "009fa0ff");
}
END_TEST

START_TEST(hex_is_read_back_from_exactly_as_many_lower_case_digits) {
    static const char *const wrong[] = {NULL, "", "009fa0f", "009fa0ff0", "009FA0FF", "009fa0fg", " 09fa0ff", "0x9fa0ff"};
    const uint8_t expect[] = {0x00, 0x9f, 0xa0, 0xff};
    uint8_t out[4];
    ck_assert(fed_unhex(out, sizeof out, "009fa0ff"));
    ck_assert_mem_eq(out, expect, sizeof out);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ck_assert(!fed_unhex(out, sizeof out, wrong[i]));
    }
}
END_TEST

/* ---- identities ---- */

static void known_identity(struct fed_identity *out) {
    uint8_t seed[FED_KEY_BYTES];
    known_bytes(seed, sizeof seed, "seed");
    ck_assert_int_eq(fed_identity_from_seed(out, seed), 0);
}

START_TEST(identity_of_a_seed_matches_the_known_answer) {
    struct fed_identity identity;
    uint8_t expected[FED_KEY_BYTES];
    known_identity(&identity);
    known_bytes(expected, sizeof expected, "curve_secret");
    ck_assert_mem_eq(identity.secret->curve, expected, sizeof expected);
    known_bytes(expected, sizeof expected, "seal_secret");
    ck_assert_mem_eq(identity.secret->seal, expected, sizeof expected);
    known_bytes(expected, sizeof expected, "curve_public");
    ck_assert_mem_eq(identity.public_keys.curve, expected, sizeof expected);
    known_bytes(expected, sizeof expected, "seal_public");
    ck_assert_mem_eq(identity.public_keys.seal, expected, sizeof expected);

    char line[FED_PUBLIC_LINE_MAX], fingerprint[17], text[VECTOR_MAX];
    fed_public_line(line, &identity.public_keys);
    known_text(text, "public_line");
    ck_assert_str_eq(line, text);
    fed_public_fingerprint(fingerprint, &identity.public_keys);
    known_text(text, "fingerprint");
    ck_assert_str_eq(fingerprint, text);
    fed_identity_fini(&identity);
    ck_assert_ptr_null(identity.secret);
}
END_TEST

START_TEST(generated_identities_differ) {
    struct fed_identity a, b;
    ck_assert_int_eq(fed_identity_generate(&a, NULL), 0);
    ck_assert_int_eq(fed_identity_generate(&b, NULL), 0);
    ck_assert_mem_ne(a.public_keys.curve, b.public_keys.curve, FED_KEY_BYTES);
    ck_assert_mem_ne(a.public_keys.seal, b.public_keys.seal, FED_KEY_BYTES);
    ck_assert_mem_ne(a.public_keys.curve, a.public_keys.seal, FED_KEY_BYTES);
    fed_identity_fini(&a);
    fed_identity_fini(&b);
}
END_TEST

START_TEST(public_line_comes_back_as_the_same_keys) {
    for (int i = 0; i < 50; i++) {
        struct fed_identity identity;
        struct fed_public_keys parsed;
        char line[FED_PUBLIC_LINE_MAX];
        ck_assert_int_eq(fed_identity_generate(&identity, NULL), 0);
        fed_public_line(line, &identity.public_keys);
        ck_assert_int_eq(fed_public_parse(&parsed, line, NULL), 0);
        ck_assert_mem_eq(&parsed, &identity.public_keys, sizeof parsed);
        fed_identity_fini(&identity);
    }
}
END_TEST

static void must_not_parse(const char *line, const char *why) {
    struct fed_public_keys untouched, out;
    struct fed_error err = {""};
    memset(&untouched, 0x5a, sizeof untouched);
    out = untouched;
    ck_assert_int_eq(fed_public_parse(&out, line, &err), FED_ECONFIG);
    ck_assert_mem_eq(&out, &untouched, sizeof out);
    ck_assert_msg(strstr(err.text, why) != NULL, "\"%s\" does not say \"%s\"", err.text, why);
}

START_TEST(mistyped_public_line_never_becomes_a_key) {
    char good[VECTOR_MAX], line[VECTOR_MAX];
    known_text(good, "public_line");
    size_t n = strlen(good);
    for (size_t at = 0; at < n; at++) {
        for (int c = 1; c < 256; c++) {
            if (c != (unsigned char)good[at]) {
                strcpy(line, good);
                line[at] = (char)c;
                must_not_parse(line, "public key line");
            }
        }
    }
    for (size_t at = 0; at + 1 < n; at++) { /* two neighbours exchanged */
        if (good[at] != good[at + 1]) {
            strcpy(line, good);
            line[at] = good[at + 1];
            line[at + 1] = good[at];
            must_not_parse(line, "public key line");
        }
    }
}
END_TEST

START_TEST(public_line_of_another_length_or_kind_is_refused_with_a_sentence) {
    char good[VECTOR_MAX], line[VECTOR_MAX + 2];
    known_text(good, "public_line");
    for (size_t n = 0; n < strlen(good); n++) {
        snprintf(line, sizeof line, "%.*s", (int)n, good);
        must_not_parse(line, n < 8 ? "must start with fedavg1:" : "characters where 99 are needed");
    }
    snprintf(line, sizeof line, "%s\n", good);
    must_not_parse(line, "has 100 characters");
    snprintf(line, sizeof line, " %s", good);
    must_not_parse(line, "must start with");
    known_text(line, "secret_line");
    must_not_parse(line, "must start with");
    strcpy(line, good);
    line[20] = '+';
    must_not_parse(line, "character 21");
    strcpy(line, good);
    line[20] = line[20] == 'A' ? 'B' : 'A';
    must_not_parse(line, "check sum");
}
END_TEST

/* ---- the key file ---- */

START_TEST(created_key_file_is_the_owners_alone_and_loads_as_the_same_identity) {
    struct fed_identity made, loaded;
    struct stat st;
    mode_t old = umask(0);
    ck_assert_int_eq(fed_identity_create(&made, in_dir("key"), NULL, NULL), 0);
    umask(old);
    ck_assert_int_eq(stat(in_dir("key"), &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
    ck_assert_int_eq(fed_identity_load(&loaded, in_dir("key"), NULL), 0);
    ck_assert_mem_eq(&loaded.public_keys, &made.public_keys, sizeof made.public_keys);
    ck_assert_mem_eq(loaded.secret, made.secret, sizeof *made.secret);
    fed_identity_fini(&made);
    fed_identity_fini(&loaded);
}
END_TEST

START_TEST(key_file_is_never_overwritten) {
    struct fed_identity identity = {0};
    struct fed_error err = {""};
    char back[8] = "";
    write_file(in_dir("key"), "mine", 4, 0600);
    ck_assert_int_eq(fed_identity_create(&identity, in_dir("key"), NULL, &err), FED_EKEY);
    ck_assert_ptr_nonnull(strstr(err.text, "never overwritten"));
    ck_assert_ptr_null(identity.secret);
    int fd = open(in_dir("key"), O_RDONLY);
    ck_assert_int_eq(read(fd, back, sizeof back), 4);
    close(fd);
    ck_assert_str_eq(back, "mine");

    char target[96];
    snprintf(target, sizeof target, "%s/nowhere", dir);
    ck_assert_int_eq(symlink(target, in_dir("link")), 0);
    ck_assert_int_eq(fed_identity_create(&identity, in_dir("link"), NULL, &err), FED_EKEY);
    ck_assert_int_ne(access(target, F_OK), 0);
}
END_TEST

START_TEST(key_file_in_a_missing_directory_is_an_error_of_storage) {
    struct fed_identity identity = {0};
    struct fed_error err = {""};
    ck_assert_int_eq(fed_identity_create(&identity, in_dir("no/key"), NULL, &err), FED_EIO);
    ck_assert_ptr_nonnull(strstr(err.text, "no/key"));
    ck_assert_ptr_null(identity.secret);
}
END_TEST

static void must_not_load(const char *path, const char *why) {
    struct fed_identity identity = {0};
    struct fed_error err = {""};
    ck_assert_int_eq(fed_identity_load(&identity, path, &err), FED_EKEY);
    ck_assert_ptr_null(identity.secret);
    ck_assert_msg(strstr(err.text, why) != NULL, "\"%s\" does not say \"%s\"", err.text, why);
    ck_assert_msg(strstr(err.text, path) != NULL, "\"%s\" does not name %s", err.text, path);
}

static size_t known_key_file(char out[VECTOR_MAX]) {
    known_text(out, "secret_line");
    size_t n = strlen(out);
    ck_assert_uint_lt(n + 1, VECTOR_MAX);
    out[n] = '\n';
    out[n + 1] = 0;
    return n + 1;
}

START_TEST(known_key_file_loads_as_the_known_identity) {
    struct fed_identity loaded, known;
    char text[VECTOR_MAX];
    size_t n = known_key_file(text);
    write_file(in_dir("key"), text, n, 0400);
    ck_assert_int_eq(fed_identity_load(&loaded, in_dir("key"), NULL), 0);
    known_identity(&known);
    ck_assert_mem_eq(loaded.secret, known.secret, sizeof *known.secret);
    fed_identity_fini(&loaded);
    fed_identity_fini(&known);
}
END_TEST

START_TEST(key_file_that_others_may_touch_is_refused) {
    static const mode_t bad[] = {0640, 0620, 0610, 0604, 0602, 0601, 0644, 0666, 0777};
    char text[VECTOR_MAX], advice[128];
    size_t n = known_key_file(text);
    snprintf(advice, sizeof advice, "chmod 600 %s", in_dir("key"));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_file(in_dir("key"), text, n, bad[i]);
        must_not_load(in_dir("key"), advice);
    }
    if (geteuid() == 0) {
        write_file(in_dir("key"), text, n, 0600);
        ck_assert_int_eq(chown(in_dir("key"), 65534, (gid_t)-1), 0);
        must_not_load(in_dir("key"), "belongs to user 65534");
    }
}
END_TEST

START_TEST(what_is_not_a_plain_file_is_refused_as_a_key) {
    char text[VECTOR_MAX], key[96];
    size_t n = known_key_file(text);
    must_not_load(in_dir("key"), "no such key file");
    strcpy(key, in_dir("key"));
    write_file(key, text, n, 0600);
    ck_assert_int_eq(symlink(key, in_dir("link")), 0);
    must_not_load(in_dir("link"), "symbolic link");
    ck_assert_int_eq(mkfifo(in_dir("fifo"), 0600), 0);
    must_not_load(in_dir("fifo"), "not a regular file");
    must_not_load(dir, "not a regular file");
}
END_TEST

START_TEST(file_that_is_not_exactly_one_key_line_is_refused) {
    char good[VECTOR_MAX], bad[2 * VECTOR_MAX];
    size_t n = known_key_file(good);
    for (size_t cut = 0; cut < n; cut++) {
        write_file(in_dir("key"), good, cut, 0600);
        must_not_load(in_dir("key"), "is not a key file");
    }
    static const char *const tails[] = {"\n", "x", "=\n"};
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        snprintf(bad, sizeof bad, "%s%s", good, tails[i]);
        write_file(in_dir("key"), bad, strlen(bad), 0600);
        must_not_load(in_dir("key"), "is not a key file");
    }
    static const struct {
        size_t at;
        char c;
    } changes[] = {{0, 'F'}, {14, '2'}, {15, ';'}, {20, '+'}, {20, '/'}, {20, '='}, {20, 0}, {58, 'B'}, {59, '\r'}};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        memcpy(bad, good, n);
        ck_assert_int_ne(bad[changes[i].at], changes[i].c);
        bad[changes[i].at] = changes[i].c;
        write_file(in_dir("key"), bad, n, 0600);
        must_not_load(in_dir("key"), "is not a key file");
    }
}
END_TEST

START_TEST(locked_memory_is_aligned_and_writable_to_its_end) {
    for (size_t n = 8; n <= 256; n += 8) {
        void *memory;
        ck_assert_int_eq(fed_locked_new(&memory, n), 0);
        ck_assert_uint_eq((uintptr_t)memory % 8, 0);
        memset(memory, 0xff, n);
        fed_locked_free(memory);
    }
    fed_locked_free(NULL);
}
END_TEST

/* ---- chunks ---- */

START_TEST(chunks_cover_every_length_exactly) {
    const uint64_t c = FED_CHUNK_BYTES;
    const uint64_t lengths[] = {
        0, 1, c - 1, c, c + 1, 2 * c, 2 * c + 7, 6653480, (uint64_t)4 << 30, ((uint64_t)1 << 44) + 4};
    const uint64_t counts[] = {0, 1, 1, 1, 2, 2, 3, 26, 16384, ((uint64_t)1 << 26) + 1};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        ck_assert_uint_eq(fed_chunk_count(lengths[i]), counts[i]);
        ck_assert_uint_eq(fed_sealed_bytes(lengths[i]), lengths[i] + 16 * counts[i]);
        if (counts[i] > 0) {
            uint64_t last = counts[i] - 1;
            ck_assert_uint_eq(last * c + fed_chunk_plain_bytes(lengths[i], last), lengths[i]);
            ck_assert_uint_eq(fed_chunk_plain_bytes(lengths[i], 0), lengths[i] < c ? lengths[i] : c);
        }
    }
    ck_assert_uint_eq(fed_chunk_count(UINT64_MAX), (uint64_t)1 << 46);
}
END_TEST

/* ---- the seal ---- */

#define N_HEADER 48

/* One update as both sides know it. */
struct update {
    struct fed_identity node;
    struct fed_seal_pair *e, *r;
    uint8_t terms[32], header[N_HEADER];
};

static struct fed_seal_pair *known_pair(const char *name) {
    struct fed_seal_pair *pair;
    uint8_t secret[FED_KEY_BYTES];
    known_bytes(secret, sizeof secret, name);
    ck_assert_int_eq(fed_seal_pair_import(&pair, secret), 0);
    return pair;
}

static void update_init(struct update *u) {
    known_identity(&u->node);
    u->e = known_pair("e_secret");
    u->r = known_pair("r_secret");
    known_bytes(u->terms, sizeof u->terms, "terms_digest");
    known_bytes(u->header, sizeof u->header, "header");
}

static void update_fini(struct update *u) {
    fed_identity_fini(&u->node);
    fed_seal_pair_free(u->e);
    fed_seal_pair_free(u->r);
}

static struct fed_seal_key *node_key(const struct update *u) {
    struct fed_seal_key *key;
    ck_assert_int_eq(
        fed_seal_update_key_node(&key, u->e, &u->node, fed_seal_pair_public(u->r), u->terms, u->header, N_HEADER), 0);
    return key;
}

static struct fed_seal_key *coordinator_key(const struct update *u, size_t n_header) {
    struct fed_seal_key *key;
    ck_assert_int_eq(fed_seal_update_key_coordinator(&key, u->r, fed_seal_pair_public(u->e), u->node.public_keys.seal,
                                                     u->terms, u->header, n_header),
                     0);
    return key;
}

START_TEST(update_key_and_chunks_match_the_known_answers_on_both_sides) {
    struct update u;
    update_init(&u);
    uint8_t expected[FED_KEY_BYTES], bytes[FED_KEY_BYTES], plain[100], sealed[116], opened[100], answer[116];
    known_bytes(expected, sizeof expected, "e_public");
    ck_assert_mem_eq(fed_seal_pair_public(u.e), expected, sizeof expected);
    known_bytes(expected, sizeof expected, "r_public");
    ck_assert_mem_eq(fed_seal_pair_public(u.r), expected, sizeof expected);

    struct fed_seal_key *up = node_key(&u), *down = coordinator_key(&u, N_HEADER);
    known_bytes(expected, sizeof expected, "update_key");
    fed_seal_key_export(bytes, up);
    ck_assert_mem_eq(bytes, expected, sizeof expected);
    fed_seal_key_export(bytes, down);
    ck_assert_mem_eq(bytes, expected, sizeof expected);

    known_bytes(plain, sizeof plain, "plain");
    const uint64_t indices[] = {0, 1, 0x1122334455667788};
    for (size_t i = 0; i < 3; i++) {
        char name[40];
        snprintf(name, sizeof name, "chunk_%llu", (unsigned long long)indices[i]);
        known_bytes(answer, sizeof answer, name);
        fed_seal_chunk(sealed, up, indices[i], plain, sizeof plain);
        ck_assert_mem_eq(sealed, answer, sizeof answer);
        ck_assert_int_eq(fed_open_chunk(opened, down, indices[i], sealed, sizeof sealed), 0);
        ck_assert_mem_eq(opened, plain, sizeof plain);
    }
    fed_seal_key_free(up);
    fed_seal_key_free(down);
    update_fini(&u);
}
END_TEST

START_TEST(chunks_of_every_size_open_also_in_place) {
    const size_t sizes[] = {0, 1, 63, 64, 65, 4096, FED_CHUNK_BYTES};
    struct fed_seal_key *key, *copy;
    uint8_t bytes[FED_KEY_BYTES];
    ck_assert_int_eq(fed_seal_key_random(&key), 0);
    fed_seal_key_export(bytes, key);
    ck_assert_int_eq(fed_seal_key_import(&copy, bytes), 0);
    uint8_t *plain = malloc(FED_CHUNK_BYTES), *sealed = malloc(FED_CHUNK_BYTES + FED_TAG_BYTES);
    for (size_t i = 0; i < FED_CHUNK_BYTES; i++) {
        plain[i] = (uint8_t)(i ^ i >> 8);
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        fed_seal_chunk(sealed, key, i, plain, sizes[i]);
        ck_assert_int_eq(fed_open_chunk(sealed, copy, i, sealed, sizes[i] + FED_TAG_BYTES), 0);
        ck_assert_mem_eq(sealed, plain, sizes[i]);
    }
    free(plain);
    free(sealed);
    fed_seal_key_free(key);
    fed_seal_key_free(copy);
    fed_seal_key_free(NULL);
    fed_seal_pair_free(NULL);
}
END_TEST

#define SMALL 40

static void seal_small(uint8_t sealed[SMALL + 16], const struct fed_seal_key *key, uint64_t i, uint8_t fill) {
    uint8_t plain[SMALL];
    memset(plain, fill, sizeof plain);
    fed_seal_chunk(sealed, key, i, plain, sizeof plain);
}

/* Does not open, and leaves nothing of the plain text behind. */
static void must_not_open(const struct fed_seal_key *key, uint64_t i, const uint8_t *sealed, size_t n) {
    static const uint8_t zero[SMALL + 1], untouched[SMALL + 1] = {[0 ... SMALL] = 0xee};
    uint8_t out[SMALL + 1];
    memcpy(out, untouched, sizeof out);
    ck_assert_int_eq(fed_open_chunk(out, key, i, sealed, n), FED_ESEAL);
    size_t n_plain = n < FED_TAG_BYTES ? 0 : n - FED_TAG_BYTES;
    ck_assert(memcmp(out, zero, n_plain) == 0 || memcmp(out, untouched, n_plain) == 0);
    ck_assert_mem_eq(out + n_plain, untouched, sizeof out - n_plain);
}

START_TEST(chunk_with_any_bit_flipped_does_not_open) {
    struct fed_seal_key *key;
    uint8_t sealed[SMALL + 16];
    ck_assert_int_eq(fed_seal_key_random(&key), 0);
    seal_small(sealed, key, 3, 0x11);
    for (size_t bit = 0; bit < 8 * sizeof sealed; bit++) {
        sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        must_not_open(key, 3, sealed, sizeof sealed);
        sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    uint8_t out[SMALL];
    ck_assert_int_eq(fed_open_chunk(out, key, 3, sealed, sizeof sealed), 0);
    fed_seal_key_free(key);
}
END_TEST

START_TEST(chunk_does_not_open_truncated_extended_or_in_another_place) {
    struct fed_seal_key *key;
    uint8_t first[SMALL + 17] = {0}, second[SMALL + 16];
    ck_assert_int_eq(fed_seal_key_random(&key), 0);
    seal_small(first, key, 0, 0x11);
    seal_small(second, key, 1, 0x22);
    for (size_t n = 0; n < SMALL + 16; n++) {
        must_not_open(key, 0, first, n);
    }
    must_not_open(key, 0, first, SMALL + 17);
    must_not_open(key, 1, first, SMALL + 16);
    must_not_open(key, 0, second, SMALL + 16);
    for (int shift = 0; shift < 64; shift++) {
        must_not_open(key, (uint64_t)1 << shift, first, SMALL + 16);
    }
    uint8_t untouched = 0xee; /* over the largest chunk: refused by its length alone, nothing is read or written */
    ck_assert_int_eq(fed_open_chunk(&untouched, key, 0, first, FED_CHUNK_BYTES + FED_TAG_BYTES + 1), FED_ESEAL);
    ck_assert_uint_eq(untouched, 0xee);
    fed_seal_key_free(key);
}
END_TEST

/* sealed was made under the known update; u is now something else. */
static void must_not_open_as(const struct update *u, size_t n_header, const uint8_t *sealed) {
    struct fed_seal_key *key = coordinator_key(u, n_header);
    must_not_open(key, 0, sealed, SMALL + 16);
    fed_seal_key_free(key);
}

START_TEST(update_opens_only_with_its_own_header_terms_and_keys) {
    struct update u;
    uint8_t sealed[SMALL + 16], opened[SMALL];
    update_init(&u);
    struct fed_seal_key *key = node_key(&u);
    seal_small(sealed, key, 0, 0x33);
    fed_seal_key_free(key);

    for (size_t bit = 0; bit < 8 * N_HEADER; bit++) {
        u.header[bit / 8] ^= (uint8_t)(1 << bit % 8);
        must_not_open_as(&u, N_HEADER, sealed);
        u.header[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    must_not_open_as(&u, N_HEADER - 1, sealed);
    must_not_open_as(&u, 0, sealed);
    for (size_t bit = 0; bit < 8 * sizeof u.terms; bit++) {
        u.terms[bit / 8] ^= (uint8_t)(1 << bit % 8);
        must_not_open_as(&u, N_HEADER, sealed);
        u.terms[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }

    struct fed_seal_pair *e = u.e, *r = u.r, *other;
    struct fed_identity node = u.node, stranger;
    ck_assert_int_eq(fed_seal_pair_new(&other), 0);
    ck_assert_int_eq(fed_identity_generate(&stranger, NULL), 0);
    u.e = other;
    must_not_open_as(&u, N_HEADER, sealed);
    u.e = r; /* the attempt's own key reflected */
    must_not_open_as(&u, N_HEADER, sealed);
    u.e = e;
    u.r = other;
    must_not_open_as(&u, N_HEADER, sealed);
    u.r = r;
    u.node = stranger;
    must_not_open_as(&u, N_HEADER, sealed);
    u.node = node;

    key = coordinator_key(&u, N_HEADER);
    ck_assert_int_eq(fed_open_chunk(opened, key, 0, sealed, sizeof sealed), 0);
    fed_seal_key_free(key);
    fed_seal_pair_free(other);
    fed_identity_fini(&stranger);
    update_fini(&u);
}
END_TEST

START_TEST(node_key_without_the_long_term_secret_is_another_key) {
    struct update u;
    struct fed_identity stranger;
    uint8_t sealed[SMALL + 16];
    update_init(&u);
    ck_assert_int_eq(fed_identity_generate(&stranger, NULL), 0);
    struct fed_public_keys own = stranger.public_keys;
    stranger.public_keys = u.node.public_keys; /* claims to be the node */
    struct fed_seal_key *key;
    ck_assert_int_eq(fed_seal_update_key_node(&key, u.e, &stranger, fed_seal_pair_public(u.r), u.terms, u.header, N_HEADER),
                     0);
    seal_small(sealed, key, 0, 0x44);
    must_not_open_as(&u, N_HEADER, sealed);
    stranger.public_keys = own;
    fed_seal_key_free(key);
    fed_identity_fini(&stranger);
    update_fini(&u);
}
END_TEST

/* Curve25519's points of low order, and their non-canonical forms. */
static const uint8_t low_order[][FED_KEY_BYTES] = {
    {0},
    {1},
    {0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
     0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
    {0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b,
     0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57},
    {[0] = 0xec, [1 ... 30] = 0xff, [31] = 0x7f},
    {[0] = 0xed, [1 ... 30] = 0xff, [31] = 0x7f},
    {[0] = 0xee, [1 ... 30] = 0xff, [31] = 0x7f},
};

START_TEST(public_keys_of_low_order_are_refused) {
    struct update u;
    struct fed_seal_key *key = NULL;
    update_init(&u);
    const uint8_t *e_pk = fed_seal_pair_public(u.e), *c_pk = u.node.public_keys.seal, *low = low_order[_i];
    ck_assert_int_eq(fed_seal_update_key_node(&key, u.e, &u.node, low, u.terms, u.header, N_HEADER), FED_ESEAL);
    ck_assert_int_eq(fed_seal_update_key_coordinator(&key, u.r, low, c_pk, u.terms, u.header, N_HEADER), FED_ESEAL);
    ck_assert_int_eq(fed_seal_update_key_coordinator(&key, u.r, e_pk, low, u.terms, u.header, N_HEADER), FED_ESEAL);
    ck_assert_ptr_null(key);
    update_fini(&u);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("seal");
    TCase *keys = tcase_create("digests and keys");
    tcase_add_checked_fixture(keys, make_dir, remove_dir);
    tcase_add_test(keys, digest_matches_the_known_answer_whole_and_in_pieces);
    tcase_add_test(keys, hex_is_lower_case_and_ended);
    tcase_add_test(keys, hex_is_read_back_from_exactly_as_many_lower_case_digits);
    tcase_add_test(keys, identity_of_a_seed_matches_the_known_answer);
    tcase_add_test(keys, generated_identities_differ);
    tcase_add_test(keys, public_line_comes_back_as_the_same_keys);
    tcase_add_test(keys, mistyped_public_line_never_becomes_a_key);
    tcase_add_test(keys, public_line_of_another_length_or_kind_is_refused_with_a_sentence);
    tcase_add_test(keys, created_key_file_is_the_owners_alone_and_loads_as_the_same_identity);
    tcase_add_test(keys, key_file_is_never_overwritten);
    tcase_add_test(keys, key_file_in_a_missing_directory_is_an_error_of_storage);
    tcase_add_test(keys, known_key_file_loads_as_the_known_identity);
    tcase_add_test(keys, key_file_that_others_may_touch_is_refused);
    tcase_add_test(keys, what_is_not_a_plain_file_is_refused_as_a_key);
    tcase_add_test(keys, file_that_is_not_exactly_one_key_line_is_refused);
    tcase_add_test(keys, locked_memory_is_aligned_and_writable_to_its_end);
    suite_add_tcase(suite, keys);

    TCase *seal = tcase_create("seal");
    tcase_add_checked_fixture(seal, make_dir, remove_dir);
    tcase_add_test(seal, chunks_cover_every_length_exactly);
    tcase_add_test(seal, update_key_and_chunks_match_the_known_answers_on_both_sides);
    tcase_add_test(seal, chunks_of_every_size_open_also_in_place);
    tcase_add_test(seal, chunk_with_any_bit_flipped_does_not_open);
    tcase_add_test(seal, chunk_does_not_open_truncated_extended_or_in_another_place);
    tcase_add_test(seal, update_opens_only_with_its_own_header_terms_and_keys);
    tcase_add_test(seal, node_key_without_the_long_term_secret_is_another_key);
    tcase_add_loop_test(seal, public_keys_of_low_order_are_refused, 0, (int)(sizeof low_order / sizeof *low_order));
    suite_add_tcase(suite, seal);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
