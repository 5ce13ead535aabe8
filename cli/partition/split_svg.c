#include "cli/partition/split_svg.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/file.h"

#define ROWS_MOST 300   /* clients; of more a sample is drawn */
#define COLUMNS_MOST 64 /* labels; of more, several share a column */
#define LEFT 84
#define TOP 84
#define MAP_WIDTH 420
#define GAP 24
#define BARS_WIDTH 160
#define RIGHT 64

struct picture {
    const struct fed_split_view *view;
    uint32_t rows, columns;
    double row_height, column_width;
    bool by_size; /* there are no labels: the largest come first */
    double bars_left, bars_width;
};

static uint32_t client_of(const struct picture *p, uint32_t row) {
    const struct fed_split_view *view = p->view;
    if (p->by_size) {
        uint32_t place = fed_split_view_place(row, p->rows, view->n_clients);
        return view->ranked != NULL ? view->ranked[place] : place;
    }
    return view->seen[fed_split_view_place(row, p->rows, view->n_seen)];
}

static double y_of(const struct picture *p, uint32_t row) { return TOP + row * p->row_height; }

static void write_number(FILE *out, double x, double y, const char *anchor, uint32_t number) {
    fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%" PRIu32 "</text>\n", x, y, anchor, number);
}

static void draw_head(FILE *out, const struct picture *p) {
    const struct fed_split_view *view = p->view;
    double width = p->bars_left + p->bars_width + RIGHT, height = y_of(p, p->rows) + 24;
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\" "
            "font-family=\"sans-serif\" font-size=\"11\" fill=\"#222\">\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
            "<text x=\"16\" y=\"26\" font-size=\"15\">%s: %s, %" PRIu32 " clients</text>\n<text x=\"16\" y=\"44\">",
            width, height, width, height, view->task->name, fed_partition_kind_name(view->task->partition.kind),
            view->n_clients);
    if (p->rows < view->n_clients) {
        fprintf(out, "%" PRIu32 " of %" PRIu32 " clients are drawn, evenly spaced. ", p->rows, view->n_clients);
    }
    if (p->by_size) {
        fprintf(out, "The data has no labels: examples of each client%s.</text>\n",
                view->ranked != NULL ? ", largest first" : "");
    } else {
        fprintf(out, "The darker, the larger the label's share of the client; skew %.3f.</text>\n", view->skew);
    }
}

static void draw_labels(FILE *out, const struct picture *p) {
    uint32_t every = p->columns <= 20 ? 1 : p->columns <= 40 ? 2 : 4;
    fprintf(out, "<text x=\"%d\" y=\"%d\" fill=\"#666\">label</text>\n", LEFT, TOP - 20);
    for (uint32_t c = 0; c < p->columns; c += every) {
        write_number(out, LEFT + (c + 0.5) * p->column_width, TOP - 6, "middle",
                     fed_split_view_place(c, p->columns, p->view->n_labels));
    }
}

/* One path a row and shade would be smaller, but a cell says on pointing what it is. */
static void draw_cells(FILE *out, const struct picture *p, uint32_t row) {
    const struct fed_split_view *view = p->view;
    uint32_t place = fed_split_view_place(row, p->rows, view->n_seen);
    for (uint32_t c = 0; c < p->columns; c++) {
        uint32_t first = fed_split_view_place(c, p->columns, view->n_labels);
        uint32_t after = fed_split_view_place(c + 1, p->columns, view->n_labels);
        double share = fed_split_view_share(view, place, first, after);
        if (share > 0) {
            fprintf(out,
                    "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill-opacity=\"%.2f\"><title>client %" PRIu32
                    ", label %" PRIu32 ": %.1f %%</title></rect>\n",
                    LEFT + c * p->column_width, y_of(p, row), p->column_width - 1,
                    p->row_height > 4 ? p->row_height - 1 : p->row_height, 0.08 + 0.92 * share, view->seen[place], first,
                    100 * share);
        }
    }
}

static void draw_bar(FILE *out, const struct picture *p, uint32_t row) {
    uint32_t client = client_of(p, row);
    size_t n_k = fed_partition_size(p->view->partition, client);
    fprintf(out,
            "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"><title>client %" PRIu32
            ": %zu examples</title></rect>\n",
            p->bars_left, y_of(p, row), p->bars_width * ((double)n_k / (double)p->view->sizes.most),
            p->row_height > 4 ? p->row_height - 1 : p->row_height, client, n_k);
}

static void draw_rows(FILE *out, const struct picture *p) {
    uint32_t every = p->rows <= 60 ? 1 : p->rows <= 120 ? 5 : 20;
    for (uint32_t row = 0; row < p->rows; row += every) {
        write_number(out, LEFT - 6, y_of(p, row) + p->row_height / 2 + 4, "end", client_of(p, row));
    }
    fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\" fill=\"#666\">client</text>\n<g fill=\"#1f4e8c\">\n", LEFT - 6,
            TOP - 20);
    for (uint32_t row = 0; row < p->rows && !p->by_size; row++) {
        draw_cells(out, p, row);
    }
    fprintf(out, "</g>\n<text x=\"%.1f\" y=\"%d\" fill=\"#666\">examples</text>\n", p->bars_left, TOP - 20);
    write_number(out, p->bars_left, TOP - 6, "start", 0);
    write_number(out, p->bars_left + p->bars_width, TOP - 6, "middle", (uint32_t)p->view->sizes.most);
    fprintf(out, "<g fill=\"#8a8f98\">\n");
    for (uint32_t row = 0; row < p->rows; row++) {
        draw_bar(out, p, row);
    }
    fprintf(out, "</g>\n");
}

static void draw(FILE *out, const struct fed_split_view *view) {
    struct picture p = {.view = view, .by_size = view->n_labels == 0};
    uint32_t all = p.by_size ? view->n_clients : view->n_seen;
    p.rows = all < ROWS_MOST ? all : ROWS_MOST;
    p.columns = view->n_labels < COLUMNS_MOST ? view->n_labels : COLUMNS_MOST;
    p.row_height = p.rows <= 60 ? 14 : p.rows <= 120 ? 7 : 3;
    p.bars_left = LEFT + (p.by_size ? 0 : MAP_WIDTH + GAP);
    p.bars_width = LEFT + MAP_WIDTH + GAP + BARS_WIDTH - p.bars_left;
    p.column_width = p.columns == 0 ? 0 : (double)MAP_WIDTH / p.columns;
    draw_head(out, &p);
    if (!p.by_size) {
        draw_labels(out, &p);
    }
    draw_rows(out, &p);
    fprintf(out, "</svg>\n");
}

int fed_split_svg_write(const struct fed_split_view *view, const char *path, struct fed_error *err) {
    char *svg = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&svg, &n);
    if (out == NULL) {
        return fed_error_set(err, FED_ENOMEM, "out of memory");
    }
    draw(out, view);
    int rc = fclose(out) == 0 ? FED_OK : fed_error_set(err, FED_ENOMEM, "out of memory");
    if (rc == FED_OK) {
        struct iovec part = {svg, n};
        rc = fed_file_replace(path, &part, 1, 0644, err);
    }
    free(svg);
    return rc;
}
