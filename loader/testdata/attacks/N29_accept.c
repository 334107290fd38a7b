/*
 * id: N29
 * tries: accept from a peer at any address and port: rules are about the own side, as documented
 * role: webserver
 * args: 8080
 * expect: 0
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	struct sockaddr_storage own, peer;
	socklen_t len = address(&own, "127.0.0.1", argv[1]),
		  peer_len = address(&peer, "127.9.9.9", "0");
	int one = 1, client, server = MUST(socket(AF_INET, SOCK_STREAM, 0));
	char byte;

	MUST(setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)));
	TRY(bind(server, (void *)&own, len));
	TRY(listen(server, 1));
	client = MUST(socket(AF_INET, SOCK_STREAM, 0));
	TRY(connect(client, (void *)&own, len));
	server = accept(server, (void *)&peer, &peer_len);
	TRY(server);
	TRY(write(client, "x", 1));
	TRY(read(server, &byte, 1));
	return 0;
}
