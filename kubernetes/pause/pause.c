/*
 * The process that holds a pod's namespaces open. It waits until it is told to
 * end, and reaps what is left to it where the pod shares one process namespace.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void end(int number) {
	(void)number;
	_exit(0);
}

static void reap(int number) {
	(void)number;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

int main(void) {
	struct sigaction ending = {.sa_handler = end};
	struct sigaction reaping = {.sa_handler = reap, .sa_flags = SA_NOCLDSTOP};

	if (sigaction(SIGINT, &ending, NULL) < 0 || sigaction(SIGTERM, &ending, NULL) < 0 ||
	    sigaction(SIGCHLD, &reaping, NULL) < 0)
		return EXIT_FAILURE;
	for (;;)
		pause();
}
