// measure: runs a program and reports the CPU time and memory of its process tree as JSON.
//
//     measure REPORT SECONDS PROGRAM [ARGUMENT...]
//
// After SECONDS, or at SIGTERM or SIGINT, the whole tree is killed (SIGKILL). CPU time is the kernel's, of all
// processes of the tree. Memory is the larger of the highest resident size of a single process, from the kernel, and
// the sum over the tree, sampled every 10 ms. The sum counts a page that two processes share twice.
//
// The kernel includes a process's memory from before its exec (wait4's ru_maxrss), so the parent must be small:
// Python's memory would be measured instead.

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double seconds(struct timeval time) { return (double)time.tv_sec + (double)time.tv_usec / 1e6; }

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

// A number in /proc/PID/statm, after the skipped ones, in pages.
static long resident_pages(pid_t process) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/statm", process);
    FILE *file = fopen(path, "r");
    long pages = 0;
    if (file) {
        if (fscanf(file, "%*d %ld", &pages) != 1) pages = 0;
        fclose(file);
    }
    return pages;
}

// Calls `each` for every process that `parent`'s main thread started. For forks of other threads, only the kernel's
// figure counts.
static long visit_children(pid_t parent, long (*each)(pid_t)) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", parent, parent);
    FILE *file = fopen(path, "r");
    long sum = 0;
    int child;
    while (file && fscanf(file, "%d", &child) == 1) sum += each(child);
    if (file) fclose(file);
    return sum;
}

static long tree_pages(pid_t process) { return resident_pages(process) + visit_children(process, tree_pages); }

static long kill_tree(pid_t process) {
    // Stopped first, so that it starts no process while its children are looked up.
    kill(process, SIGSTOP);
    visit_children(process, kill_tree);
    return kill(process, SIGKILL);
}

int main(int count, char **words) {
    if (count < 4) {
        fprintf(stderr, "usage: measure REPORT SECONDS PROGRAM [ARGUMENT...]\n");
        return 2;
    }
    // Orphans become children of this process, and are waited for and counted; this process ends with its parent.
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    sigset_t watched, before;
    sigemptyset(&watched);
    sigaddset(&watched, SIGCHLD);
    sigaddset(&watched, SIGTERM);
    sigaddset(&watched, SIGINT);
    sigprocmask(SIG_BLOCK, &watched, &before);

    double start = now(), limit = atof(words[2]), wall = 0;
    pid_t child = fork();
    if (child == 0) {
        sigprocmask(SIG_SETMASK, &before, NULL);
        execvp(words[3], words + 3);
        perror(words[3]);
        _exit(127);
    }
    if (child < 0) {
        perror("measure");
        return 1;
    }
    long most = 0;
    int status = 0;
    bool killed = false, living = true;
    while (true) {
        int ended;
        pid_t who;
        while ((who = waitpid(-1, &ended, WNOHANG)) > 0) {
            if (who != child) continue;
            wall = now() - start;
            status = ended;
            living = false;
        }
        // The whole tree has ended.
        if (who < 0 && errno == ECHILD) break;
        if (!killed) {
            long pages = visit_children(getpid(), tree_pages);
            if (pages > most) most = pages;
        }
        struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
        int signal = sigtimedwait(&watched, NULL, &pause);
        bool asked = signal == SIGTERM || signal == SIGINT;
        killed = killed || asked || (living && now() - start > limit);
        // Repeated: a child of a thread becomes a child of this process only when that process has died.
        if (killed) visit_children(getpid(), kill_tree);
    }
    struct rusage used;
    getrusage(RUSAGE_CHILDREN, &used);
    long long memory = most * sysconf(_SC_PAGESIZE), highest = used.ru_maxrss * 1024LL;
    FILE *report = fopen(words[1], "w");
    if (!report) {
        perror(words[1]);
        return 1;
    }
    fprintf(report, "{\"wall\": %.5f, \"cpu\": %.5f, \"memory\": %lld, \"status\": %d, \"killed\": %s}\n", wall,
            seconds(used.ru_utime) + seconds(used.ru_stime), memory > highest ? memory : highest,
            WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), killed ? "true" : "false");
    return fclose(report) == 0 ? 0 : 1;
}
