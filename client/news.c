/* What the program that hosts the node is told. It is told after the fact, and what it does then changes nothing here. */
#include "client/session_internal.h"

void fed_session_tell(struct fed_session *s, struct fed_session_news news) {
    if (s->options.hear != NULL) {
        news.word = news.word != NULL ? news.word : "";
        news.text = news.text != NULL ? news.text : "";
        news.bytes_sent = s->bytes_sent;
        news.bytes_received = s->bytes_received;
        s->options.hear(s->options.context, &news);
    }
}

void fed_session_tell_mood(struct fed_session *s) {
    enum fed_session_mood mood = s->state == FED_SESSION_DOWN       ? FED_MOOD_AWAY
                                 : s->state == FED_SESSION_GREETING ? FED_MOOD_GREETING
                                 : s->working                       ? FED_MOOD_WORKING
                                                                    : FED_MOOD_READY;
    if (mood != s->told) {
        s->told = mood;
        fed_session_tell(s, (struct fed_session_news){.kind = FED_NEWS_STATE, .mood = mood});
    }
}

void fed_session_tell_declined(struct fed_session *s, const uint64_t *client, enum fed_decline_reason reason) {
    fed_session_tell(s, (struct fed_session_news){.kind = FED_NEWS_DECLINED,
                                                  .round = s->terms.round,
                                                  .attempt = s->terms.attempt,
                                                  .client = client != NULL ? *client : 0,
                                                  .clients = client != NULL,
                                                  .word = fed_decline_name(reason),
                                                  .text = s->task_problem.text});
}

void fed_session_tell_refused(struct fed_session *s, uint64_t round, uint32_t attempt, enum fed_refusal refusal,
                              const char *text) {
    fed_session_tell(
        s,
        (struct fed_session_news){
            .kind = FED_NEWS_REFUSED, .round = round, .attempt = attempt, .word = fed_refusal_name(refusal), .text = text});
}

void fed_session_tell_ended(struct fed_session *s, enum fed_session_outcome outcome) {
    fed_session_tell(s,
                     (struct fed_session_news){
                         .kind = FED_NEWS_ENDED, .round = s->terms.round, .attempt = s->terms.attempt, .outcome = outcome});
}
