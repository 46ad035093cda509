// Counts the lines, words and bytes of standard input: a core module that no Rust had a part in.
//
//     wc [-n TIMES] [LABEL]
//
// writes "LINES WORDS BYTES LABEL" so many times (1). A word is what stands between blanks, as the
// C locale has it.
//
// Built with Debian's clang, wasi-libc, lld and libclang-rt-14-dev-wasm32:
//
//     clang --target=wasm32-wasi -O2 -Wall -Wextra -Werror -Wl,--strip-all -o wc.wasm wc.c

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// So that a wrong argument cannot fill the world.
#define MOST_TIMES 1000000

struct counts {
    unsigned long long lines, words, bytes;
};

static bool count(FILE *input, struct counts *counts) {
    static unsigned char piece[65536];
    bool in_word = false;
    size_t length;
    while ((length = fread(piece, 1, sizeof piece, input)) > 0) {
        counts->bytes += length;
        for (size_t i = 0; i < length; i++) {
            bool blank = isspace(piece[i]);
            counts->lines += piece[i] == '\n';
            counts->words += !blank && !in_word;
            in_word = !blank;
        }
    }
    return !ferror(input);
}

// A number between 1 and MOST_TIMES, or 0 if the text is none.
static long times_of(const char *text) {
    char *end;
    errno = 0;
    long times = strtol(text, &end, 10);
    bool number = *text != '\0' && *end == '\0' && errno == 0;
    return number && times >= 1 && times <= MOST_TIMES ? times : 0;
}

int main(int argc, char **argv) {
    long times = 1;
    int next = 1;
    if (next < argc && strcmp(argv[next], "-n") == 0) {
        times = next + 1 < argc ? times_of(argv[next + 1]) : 0;
        if (times == 0) {
            fprintf(stderr, "wc: -n takes a number from 1 to %d\n", MOST_TIMES);
            return 2;
        }
        next += 2;
    }
    if (argc - next > 1) {
        fprintf(stderr, "usage: wc [-n TIMES] [LABEL]\n");
        return 2;
    }
    struct counts counts = {0};
    if (!count(stdin, &counts)) {
        perror("wc: standard input");
        return 1;
    }
    for (long i = 0; i < times; i++) {
        printf("%llu %llu %llu%s%s\n", counts.lines, counts.words, counts.bytes,
               next < argc ? " " : "", next < argc ? argv[next] : "");
    }
    // Output that was not taken is no success.
    if (fflush(stdout) != 0) {
        perror("wc: standard output");
        return 1;
    }
    return 0;
}
