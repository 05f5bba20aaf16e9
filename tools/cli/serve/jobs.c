/*
 * serve/jobs.c: work that goes on without its client; see work.h.
 *
 * A job has a ticket until its answer is there. With a folder its request is on the disk before the
 * client hears of it, and its answer before the request goes: whatever ends the program, each job
 * is answered once.
 */
#define _DEFAULT_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "formats.h"
#include "jobfiles.h"
#include "name.h"
#include "pieces.h"

enum { MOST_JOBS = 1000, KEEP_S = 600 };
#define MOST_WAITING ((size_t)512 << 20) /* bytes of pictures whose jobs are not done */
#define MOST_KEPT ((size_t)512 << 20)    /* bytes of answers                          */

enum job_stage { JOB_WAITING, JOB_DONE, JOB_FAILED, JOB_CANCELLED };

struct job {
    struct job *next;
    struct jobs *jobs;
    char id[JOB_ID];
    enum job_stage stage;
    struct ticket *ticket; /* NULL: not yet, or no more */
    bool ready;            /* the ticket has its answer */
    int busy;              /* those who look at the job without the lock */
    struct answer *answer; /* without a folder; else it is read when it is asked for */
    size_t bytes;          /* of the picture, then of the answer, wherever that is */
    time_t ended;
};

struct jobs {
    struct work *work;
    const char *folder;   /* NULL: none */
    int folder_file;      /* its lock; -1: none */
    pthread_mutex_t lock; /* may be held where the work's lock is taken, not the other way round */
    struct job *first, **last; /* in the order in which they came */
    int count;
    size_t waiting, kept; /* bytes */
};

/* ------------------------------------------------------------------ requests as files ------ */

static void put_text(struct text *out, const char *text)
{
    part_put(out, text, strlen(text));
}

static void put_number(struct text *out, int number)
{
    char text[16];
    snprintf(text, sizeof text, "%d", number);
    put_text(out, text);
}

static bool write_request(const struct job *job, const struct ask *ask, const void *picture,
                          size_t bytes)
{
    struct text file = {0};
    put_text(&file, "vitx job 1");
    put_text(&file, ask->model->name);
    put_number(&file, (int)ask->verb);
    put_number(&file, (int)ask->form);
    put_number(&file, ask->words.count / 2);
    for (int i = 0; i < ask->words.count; i++)
        put_text(&file, ask->words.items[i]);
    part_put(&file, picture, bytes);
    const bool written =
        !file.failed && jobfile_write(job->jobs->folder, job->id, "request", &file);
    text_free(&file);
    return written;
}

static bool take_number(int *out, int most, const struct text *file, size_t *at)
{
    char text[16], *end;
    if (!part_take_text(text, sizeof text, file, at))
        return false;
    const long number = strtol(text, &end, 10);
    *out = (int)number;
    return end != text && *end == '\0' && number >= 0 && number <= most;
}

static struct served *find_served(const struct work *work, const char *name)
{
    for (int i = 0; i < work->opts.model_count; i++)
        if (strcmp(work->opts.models[i].name, name) == 0)
            return &work->opts.models[i];
    return NULL;
}

/* The names and values behind each other. */
static bool take_fields(struct list *words, int count, const struct text *file, size_t *at)
{
    char text[2048];
    for (int i = 0; i < 2 * count; i++)
        if (!part_take_text(text, sizeof text, file, at) || !list_add(words, text, strlen(text)))
            return false;
    return true;
}

static bool make_ask(struct ask **ask, struct served *served, int verb, int form,
                     const struct list *words, struct problem *why)
{
    const int count = words->count / 2;
    struct field *fields = calloc((size_t)count + 1, sizeof *fields);
    if (!fields)
        return refuse(why, 503, "no_memory", NULL, "no memory");
    for (int i = 0; i < count; i++)
        fields[i] = (struct field){words->items[2 * i], words->items[2 * i + 1]};
    const bool made = ask_create(ask, served, (enum verb)verb, (enum form)form, fields, count, why);
    free(fields);
    return made;
}

/* The ask and the picture of a request. */
static bool read_request(struct ask **ask, void **picture, size_t *bytes, const struct work *work,
                         const struct text *file, struct problem *why)
{
    char magic[16], name[256];
    int verb, form, count;
    size_t at = 0;
    const void *data;
    struct list words = {0};
    bool read =
        part_take_text(magic, sizeof magic, file, &at) && strcmp(magic, "vitx job 1") == 0 &&
        part_take_text(name, sizeof name, file, &at) && take_number(&verb, VERB_EMBED, file, &at) &&
        take_number(&form, FORM_HTML, file, &at) && take_number(&count, FIELDS_MOST, file, &at) &&
        take_fields(&words, count, file, &at) && part_take(&data, bytes, file, &at);
    if (!read)
        refuse(why, 410, "damaged", NULL, "the job's file is damaged");
    struct served *served = read ? find_served(work, name) : NULL;
    if (read && !served)
        read = refuse(why, 404, "no_model", NULL, "the job's model is not served any more");
    read = read && make_ask(ask, served, verb, form, &words, why);
    *picture = read ? malloc(*bytes + 1) : NULL;
    if (*picture)
        memcpy(*picture, data, *bytes);
    list_free(&words);
    if (!read || *picture)
        return read;
    ask_free(*ask);
    return refuse(why, 503, "no_memory", NULL, "no memory");
}

/* ------------------------------------------------------------------ answers as files ------- */

static bool write_result(const struct job *job, const struct reply *reply)
{
    struct text file = {0};
    put_text(&file, "vitx result 1");
    put_number(&file, reply->status);
    put_text(&file, reply->type);
    put_text(&file, reply->etag);
    part_put(&file, reply->body, reply->bytes);
    const bool written = !file.failed && jobfile_write(job->jobs->folder, job->id, "result", &file);
    text_free(&file);
    if (written)
        jobfile_remove(job->jobs->folder, job->id, "request");
    return written;
}

struct result {
    const char *type; /* a constant */
    int status;
    char etag[80];
    const void *data; /* in the file */
    size_t bytes;
};

static bool parse_result(struct result *out, const struct text *file)
{
    char magic[16], type[64];
    size_t at = 0;
    return part_take_text(magic, sizeof magic, file, &at) && strcmp(magic, "vitx result 1") == 0 &&
           take_number(&out->status, 599, file, &at) &&
           part_take_text(type, sizeof type, file, &at) &&
           (out->type = format_type(type)) != NULL &&
           part_take_text(out->etag, sizeof out->etag, file, &at) &&
           part_take(&out->data, &out->bytes, file, &at);
}

static struct answer *answer_of(const struct result *result)
{
    struct text body = {0};
    text_add(&body, result->data, result->bytes);
    struct answer *answer = answer_create(result->status, result->type, &body);
    if (answer)
        memcpy(answer->reply.etag, result->etag, sizeof result->etag);
    return answer;
}

/* NULL: not now; or it is lost, as the file is damaged or gone. */
static struct answer *read_result(const struct jobs *jobs, const char *id, bool *lost)
{
    struct text file = {0};
    struct result result;
    const enum jobfile_read read = jobfile_read(&file, jobs->folder, id, "result");
    const bool parsed = read == JOBFILE_READ && parse_result(&result, &file);
    struct answer *answer = parsed ? answer_of(&result) : NULL;
    *lost = read == JOBFILE_GONE || (read == JOBFILE_READ && !parsed);
    text_free(&file);
    return answer;
}

/* ------------------------------------------------------------------ the list --------------- */

static struct job *find_job(const struct jobs *jobs, const char *id)
{
    for (struct job *job = jobs->first; job; job = job->next)
        if (strcmp(job->id, id) == 0)
            return job;
    return NULL;
}

static void free_job(struct job *job)
{
    answer_drop(job->answer);
    free(job);
}

/* With its files, if it has ended. */
static void remove_job(struct jobs *jobs, struct job *job)
{
    struct job **at = &jobs->first;
    while (*at != job)
        at = &(*at)->next;
    *at = job->next;
    if (jobs->last == &job->next)
        jobs->last = at;
    jobs->count--;
    *(job->stage == JOB_WAITING ? &jobs->waiting : &jobs->kept) -= job->bytes;
    if (jobs->folder && job->stage != JOB_WAITING)
        jobfile_remove(jobs->folder, job->id, "result");
    free_job(job);
}

static struct job *oldest_ended(const struct jobs *jobs)
{
    for (struct job *job = jobs->first; job; job = job->next)
        if (job->stage != JOB_WAITING && !job->busy)
            return job;
    return NULL;
}

/* What is old, or too much. */
static void sweep(struct jobs *jobs)
{
    const time_t now = time(NULL);
    struct job *job, *next;
    for (job = jobs->first; job; job = next) {
        next = job->next;
        if (job->stage != JOB_WAITING && !job->busy && job->ended + KEEP_S < now)
            remove_job(jobs, job);
    }
    while ((jobs->count > MOST_JOBS || jobs->kept > MOST_KEPT) &&
           (job = oldest_ended(jobs)) != NULL)
        remove_job(jobs, job);
}

/* One more at the end of the list, or *why. */
static struct job *add_job(struct jobs *jobs, const char *id, size_t bytes, struct problem *why)
{
    struct job *job = calloc(1, sizeof *job);
    bool there = job != NULL;
    if (!job)
        refuse(why, 503, "no_memory", NULL, "no memory");
    else if (id)
        memcpy(job->id, id, JOB_ID);
    else if (!make_name(job->id))
        there = refuse(why, 503, "no_random", NULL, "the system gives no random numbers");
    if (!there) {
        free(job);
        return NULL;
    }
    job->jobs = jobs;
    job->bytes = bytes;
    *jobs->last = job;
    jobs->last = &job->next;
    jobs->count++;
    jobs->waiting += bytes;
    return job;
}

/* ------------------------------------------------------------------ to the end ------------- */

/* Whether the answer is that of the job, and not that the program ended before it. */
static bool is_final(const struct jobs *jobs, const struct reply *reply)
{
    pthread_mutex_lock(&jobs->work->lock);
    const bool stopping = jobs->work->stopping;
    pthread_mutex_unlock(&jobs->work->lock);
    return !jobs->folder || reply->status < 500 || !stopping;
}

/* With the lock held, of a job whose answer is there: keeps it. */
static void settle(struct job *job, struct answer *answer)
{
    struct jobs *jobs = job->jobs;
    const struct reply *reply = &answer->reply;
    jobs->waiting -= job->bytes;
    job->bytes = reply->bytes;
    jobs->kept += job->bytes;
    job->stage = reply->status == 200 ? JOB_DONE : JOB_FAILED;
    job->ended = time(NULL);
    job->answer = answer_hold(answer);
}

/* The ticket has its answer: on the disk first, then for all to see. */
static void complete(struct job *job, struct ticket *ticket)
{
    struct jobs *jobs = job->jobs;
    const struct reply *reply = ticket_reply(ticket);
    const bool written = jobs->folder && is_final(jobs, reply) && write_result(job, reply);
    pthread_mutex_lock(&jobs->lock);
    job->busy--;
    if (job->stage == JOB_WAITING) {
        settle(job, ticket->answer);
        job->ticket = NULL;
        if (written) { /* it is read again when somebody asks */
            answer_drop(job->answer);
            job->answer = NULL;
        }
    } else {
        ticket = NULL; /* whoever cancelled it leaves it */
        if (written)
            jobfile_remove(jobs->folder, job->id, "result");
    }
    pthread_mutex_unlock(&jobs->lock);
    ticket_leave(ticket);
}

/* The ticket, once both it and its answer are there: for the one who comes second. */
static struct ticket *second(struct job *job, struct ticket *ticket)
{
    struct jobs *jobs = job->jobs;
    pthread_mutex_lock(&jobs->lock);
    if (ticket)
        job->ticket = ticket;
    else
        job->ready = true;
    struct ticket *both = job->ready && job->stage == JOB_WAITING ? job->ticket : NULL;
    job->busy += both != NULL;
    pthread_mutex_unlock(&jobs->lock);
    return both;
}

static void on_ready(void *payload)
{
    struct job *job = payload;
    struct ticket *ticket = second(job, NULL);
    if (ticket)
        complete(job, ticket);
}

/* Takes the ask and the picture. */
static bool start_job(struct job *job, struct ask *ask, void *picture, size_t bytes,
                      struct problem *why)
{
    struct ticket *ticket =
        work_submit_job(job->jobs->work, ask, picture, bytes, on_ready, job, why);
    if (ticket && second(job, ticket))
        complete(job, ticket);
    return ticket != NULL;
}

static void drop_job(struct jobs *jobs, struct job *job)
{
    pthread_mutex_lock(&jobs->lock);
    remove_job(jobs, job);
    pthread_mutex_unlock(&jobs->lock);
}

bool job_create(char id[JOB_ID], struct work *work, struct ask *ask, void *picture, size_t bytes,
                struct problem *why)
{
    struct jobs *jobs = work->jobs;
    struct job *job = NULL;
    pthread_mutex_lock(&jobs->lock);
    sweep(jobs);
    if (jobs->count >= MOST_JOBS && oldest_ended(jobs))
        remove_job(jobs, oldest_ended(jobs));
    if (jobs->count >= MOST_JOBS || jobs->waiting + bytes > MOST_WAITING) {
        refuse(why, 503, "too_many_jobs", NULL, "there are %d jobs already", jobs->count);
        why->retry_after = 30;
    } else {
        job = add_job(jobs, NULL, bytes, why);
    }
    pthread_mutex_unlock(&jobs->lock);
    if (job && jobs->folder && !write_request(job, ask, picture, bytes)) {
        drop_job(jobs, job);
        job = NULL;
        refuse(why, 503, "no_job_folder", NULL, "the job could not be kept");
    }
    if (!job) {
        ask_free(ask);
        free(picture);
        return false;
    }
    memcpy(id, job->id, JOB_ID);
    if (start_job(job, ask, picture, bytes, why))
        return true;
    if (jobs->folder)
        jobfile_remove(jobs->folder, id, "request");
    drop_job(jobs, job);
    return false;
}

/* ------------------------------------------------------------------ questions -------------- */

static bool refuse_unknown(struct problem *why)
{
    return refuse(why, 404, "no_job", "jobs are kept for 10 minutes", "there is no such job");
}

/* Pieces of its lane that were there before, and how far the running one is. */
static void put_progress(struct text *out, const struct job *job)
{
    struct work *work = job->jobs->work;
    pthread_mutex_lock(&work->lock);
    const struct piece *piece = job->ticket ? job->ticket->piece : NULL;
    if (piece && piece->stage == PIECE_RUNNING) {
        text_format(out, "\"running\",\"progress\":%.3f", (double)piece->share);
    } else if (piece) {
        int before = 0;
        for (const struct piece *p = piece->model->first[piece->lane]; p && p != piece; p = p->next)
            before++;
        text_format(out, "\"queued\",\"position\":%d", before + 1);
    } else {
        text_put(out, "\"running\",\"progress\":1");
    }
    pthread_mutex_unlock(&work->lock);
}

bool job_state(struct work *work, const char *id, char **body, size_t *bytes, struct problem *why)
{
    static const char *const stages[] = {"", "\"done\"", "\"failed\"", "\"cancelled\""};
    struct jobs *jobs = work->jobs;
    struct text out = {0};
    pthread_mutex_lock(&jobs->lock);
    sweep(jobs);
    const struct job *job = find_job(jobs, id);
    if (job) {
        text_format(&out, "{\"id\":\"%s\",\"state\":", job->id);
        if (job->stage == JOB_WAITING)
            put_progress(&out, job);
        else
            text_put(&out, stages[job->stage]);
        text_put(&out, "}\n");
    }
    pthread_mutex_unlock(&jobs->lock);
    if (!job)
        return refuse_unknown(why);
    if (out.failed) {
        text_free(&out);
        return refuse(why, 503, "no_memory", NULL, "no memory");
    }
    *body = out.data;
    *bytes = out.length;
    return true;
}

/* The answer that a job has whose own one is lost, from now on. NULL: *why. */
static struct answer *lose_result(struct jobs *jobs, const char *id, struct problem *why)
{
    refuse(why, 410, "damaged", "send the request again",
           "the file with the job's answer is damaged");
    struct answer *answer = answer_refusing(why);
    pthread_mutex_lock(&jobs->lock);
    struct job *job = find_job(jobs, id);
    if (!job) { /* the file went with it */
        refuse_unknown(why);
        answer_drop(answer);
        answer = NULL;
    } else if (answer && !job->answer) {
        jobs->kept -= job->bytes;
        job->bytes = answer->reply.bytes;
        jobs->kept += job->bytes;
        job->stage = JOB_FAILED;
        job->answer = answer_hold(answer);
    }
    pthread_mutex_unlock(&jobs->lock);
    return answer;
}

bool job_result(struct work *work, const char *id, struct ticket **ticket, struct problem *why)
{
    struct jobs *jobs = work->jobs;
    struct answer *answer = NULL;
    bool lost = false;
    pthread_mutex_lock(&jobs->lock);
    sweep(jobs);
    const struct job *job = find_job(jobs, id);
    const bool known = job != NULL;
    const enum job_stage stage = job ? job->stage : JOB_WAITING;
    if (job && job->answer)
        answer = answer_hold(job->answer);
    pthread_mutex_unlock(&jobs->lock);
    *ticket = NULL;
    if (!known)
        return refuse_unknown(why);
    if (stage == JOB_WAITING)
        return refuse(why, 409, "not_done", NULL, "the job is not done yet");
    if (stage == JOB_CANCELLED)
        return refuse(why, 410, "cancelled", NULL, "the job was cancelled");
    if (!answer && jobs->folder)
        answer = read_result(jobs, id, &lost);
    if (!answer && lost && (answer = lose_result(jobs, id, why)) == NULL)
        return false;
    if (answer)
        *ticket = ticket_of(work, answer);
    return *ticket || refuse(why, 503, "no_result", NULL, "the job's answer cannot be read");
}

bool job_cancel(struct work *work, const char *id, struct problem *why)
{
    struct jobs *jobs = work->jobs;
    struct ticket *ticket = NULL;
    pthread_mutex_lock(&jobs->lock);
    struct job *job = find_job(jobs, id);
    const bool known = job != NULL, waited = job && job->stage == JOB_WAITING;
    if (waited) {
        ticket = job->ticket;
        job->ticket = NULL;
        job->stage = JOB_CANCELLED;
        job->ended = time(NULL);
        jobs->waiting -= job->bytes;
        job->bytes = 0;
        job->busy++;
        if (jobs->folder)
            jobfile_remove(jobs->folder, job->id, "request");
    } else if (job && !job->busy) {
        remove_job(jobs, job);
        job = NULL;
    }
    pthread_mutex_unlock(&jobs->lock);
    ticket_leave(ticket);
    if (waited) {
        pthread_mutex_lock(&jobs->lock);
        job->busy--;
        pthread_mutex_unlock(&jobs->lock);
    }
    return known || refuse_unknown(why);
}

/* ------------------------------------------------------------------ after a restart -------- */

/* A job that was answered: its answer is read when it is asked for. */
static bool restore_result(struct jobs *jobs, const struct jobfile *file)
{
    struct problem why;
    struct job *job = add_job(jobs, file->id, 0, &why);
    if (!job)
        return false;
    job->stage = JOB_DONE;
    job->ended = file->time;
    job->bytes = file->bytes;
    jobs->kept += job->bytes;
    return true;
}

/* A request without an answer is done again; what cannot be is answered with the reason. */
static bool restore_request(struct jobs *jobs, const struct jobfile *file)
{
    struct problem why;
    struct text data = {0};
    struct ask *ask = NULL;
    void *picture = NULL;
    size_t bytes = 0;
    struct job *job = add_job(jobs, file->id, file->bytes, &why);
    if (!job)
        return false;
    bool started = jobfile_read(&data, jobs->folder, file->id, "request") == JOBFILE_READ;
    if (!started)
        refuse(&why, 410, "damaged", NULL, "the job's file cannot be read");
    started = started && read_request(&ask, &picture, &bytes, jobs->work, &data, &why) &&
              start_job(job, ask, picture, bytes, &why);
    text_free(&data);
    struct answer *answer = started ? NULL : answer_refusing(&why);
    if (answer) {
        write_result(job, &answer->reply);
        pthread_mutex_lock(&jobs->lock);
        settle(job, answer);
        pthread_mutex_unlock(&jobs->lock);
        answer_drop(answer);
    }
    return started || answer;
}

/* Both are there: the answer came, and the request was to go. An answer that is damaged is made
 * anew. */
static bool restore_both(struct jobs *jobs, const struct jobfile *request)
{
    bool lost;
    struct answer *answer = read_result(jobs, request->id, &lost);
    answer_drop(answer);
    if (lost) {
        remove_job(jobs, find_job(jobs, request->id));
        return restore_request(jobs, request);
    }
    jobfile_remove(jobs->folder, request->id, "request");
    return true;
}

static bool restore(struct jobs *jobs)
{
    struct jobfile *files;
    int count;
    jobs->folder_file = jobfiles_lock(jobs->folder);
    if (jobs->folder_file < 0)
        return false;
    bool restored = jobfiles_list(&files, &count, jobs->folder);
    for (int i = 0; i < count && restored; i++)
        if (files[i].result)
            restored = restore_result(jobs, &files[i]);
    for (int i = 0; i < count && restored; i++) {
        if (files[i].result)
            continue;
        restored = find_job(jobs, files[i].id) ? restore_both(jobs, &files[i])
                                               : restore_request(jobs, &files[i]);
    }
    free(files);
    return restored;
}

bool jobs_start(struct work *work)
{
    struct jobs *jobs = calloc(1, sizeof *jobs);
    if (!jobs || pthread_mutex_init(&jobs->lock, NULL) != 0) {
        free(jobs);
        complain(NULL, "no memory");
        return false;
    }
    jobs->work = work;
    jobs->folder = work->opts.job_folder;
    jobs->folder_file = -1;
    jobs->last = &jobs->first;
    work->jobs = jobs;
    if (jobs->folder && !restore(jobs))
        return false;
    pthread_mutex_lock(&jobs->lock);
    sweep(jobs);
    pthread_mutex_unlock(&jobs->lock);
    return true;
}

void jobs_stop(struct jobs *jobs)
{
    struct job *next;
    if (!jobs)
        return;
    for (struct job *job = jobs->first; job; job = next) {
        next = job->next;
        ticket_leave(job->ticket);
        free_job(job);
    }
    if (jobs->folder_file >= 0)
        close(jobs->folder_file);
    pthread_mutex_destroy(&jobs->lock);
    free(jobs);
}
