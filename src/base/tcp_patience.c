#include "base/tcp_patience.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define TCP_PATIENCE_DOUBT 2 /* questions about a closed window without an answer */

/* The kernel asks a closed window about itself at growing distances, at last every two minutes, and counts the
 * questions that have no answer yet: two of them are no mere delay. */
bool
tcp_patience_heed(int fd, int user_timeout, bool patient)
{
	struct tcp_info info;
	socklen_t length = sizeof info;
	unsigned value;
	bool closed;

	memset(&info, 0, sizeof info);
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == -1)
		return false;
	closed = info.tcpi_unacked == 0 && info.tcpi_notsent_bytes > 0 && info.tcpi_probes < TCP_PATIENCE_DOUBT;
	if (closed == patient)
		return patient;
	value = closed ? 0 : (unsigned)user_timeout;
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, sizeof value);
	return closed;
}
