"""Processes of this machine: starting, identifying and configuring them.

Public: `ForkServer` (fork_server.py), the base of the run server and the child server, which fork
processes from one that has imported everything; `ForkedChild` and `child_server_socket`
(forked_child.py), the client of the child server; `RunProcess` (process_identity.py), a process by
number and start time; `holder_lock` (holder_lock.py), a locked file that names its holder;
`send_line` and `read_line` (line_protocol.py); `readable` (readable.py), which waits for data;
`runtime_directory` (runtime_directory.py), the folder of Unix sockets; `decoding_environment`
(native_threads.py), allocator and thread settings of processes that run a model.

It must not know programs that it forks, assets or the database.
"""
