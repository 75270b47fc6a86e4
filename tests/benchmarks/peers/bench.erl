%% The cases on Erlang/OTP: `erl +S 1:1 -noshell -pa DIR -run bench main CASE N`.
-module(bench).
-export([main/1]).

main([Case, N]) ->
    Result = run(list_to_atom(Case), list_to_integer(N)),
    io:format("~w~n", [float(Result)]),
    halt().

seconds(Fun) ->
    Started = erlang:monotonic_time(nanosecond),
    Fun(),
    (erlang:monotonic_time(nanosecond) - Started) / 1.0e9.

wait(0) -> ok;
wait(N) -> receive done -> wait(N - 1) end.

run(ping_pong, N) ->
    Self = self(),
    A = spawn(fun() -> receive {peer, P} -> pinger(P, Self) end end),
    B = spawn(fun() -> receive {peer, P} -> pinger(P, Self) end end),
    A ! {peer, B},
    B ! {peer, A},
    N / seconds(fun() -> A ! {ping, N}, wait(1) end);
run(fan_in, N) ->
    Self = self(),
    Counter = spawn(fun() -> counter(0) end),
    N / seconds(fun() ->
        [spawn(fun() -> send(Counter, N div 4), Self ! done end) || _ <- lists:seq(1, 4)],
        wait(4),
        Counter ! {get, Self},
        Counted = N div 4 * 4,
        receive {count, Counted} -> ok end
    end);
run(ask_main, N) ->
    Echo = spawn(fun echo/0),
    N / seconds(fun() -> ask(Echo, N) end);
run(ask_actor, N) ->
    Self = self(),
    Echo = spawn(fun echo/0),
    N / seconds(fun() -> spawn(fun() -> ask(Echo, N), Self ! done end), wait(1) end);
run(spawn_all, N) ->
    Self = self(),
    N / seconds(fun() ->
        Actors = [spawn(fun() -> one_shot(Self) end) || _ <- lists:seq(1, N)],
        [Actor ! {message, 1} || Actor <- Actors],
        wait(N)
    end);
run(spawn_stream, N) ->
    Self = self(),
    N / seconds(fun() ->
        [begin
            [spawn(fun() -> one_shot(Self) end) ! {message, 1} || _ <- lists:seq(1, 100)],
            wait(100)
         end || _ <- lists:seq(1, N div 100)]
    end);
run(idle_bytes, N) ->
    Before = erlang:memory(total),
    Actors = [spawn(fun() -> idle(1) end) || _ <- lists:seq(1, N)],
    timer:sleep(100),
    Used = erlang:memory(total) - Before,
    N = length(Actors),
    Used / N;
run(blocking, N) ->
    Self = self(),
    seconds(fun() ->
        [spawn(fun() -> receive sleep -> ok end, timer:sleep(50), timer:sleep(50), Self ! done end)
            ! sleep || _ <- lists:seq(1, N)],
        wait(N)
    end).

pinger(Peer, Main) ->
    receive
        {ping, 0} -> Main ! done;
        {ping, N} -> Peer ! {ping, N - 1}, pinger(Peer, Main)
    end.

counter(N) ->
    receive
        {get, From} -> From ! {count, N};
        {_, _} -> counter(N + 1)
    end.

send(_, 0) -> ok;
send(Counter, N) -> Counter ! {message, N}, send(Counter, N - 1).

echo() -> receive {ask, From, Value} -> From ! {answer, Value}, echo() end.

ask(_, 0) -> ok;
ask(Echo, N) -> Echo ! {ask, self(), N}, receive {answer, N} -> ask(Echo, N - 1) end.

one_shot(Main) -> receive {message, _} -> Main ! done end.

idle(Attribute) -> receive {get, From} -> From ! Attribute, idle(Attribute + 1) end.
