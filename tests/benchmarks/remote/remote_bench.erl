%% The remote cases on Erlang's distribution. Without arguments: the node that is asked and told.
-module(remote_bench).
-export([main/0, main/1]).

-define(STATION, 'station@127.0.0.1').

main() ->
    register(echo, spawn(fun echo/0)),
    register(counter, spawn(fun() -> counter(0) end)),
    io:format("ready~n"),
    receive never -> ok end.

main([Case, N, Argument]) ->
    Result = run(list_to_atom(Case), list_to_integer(N), Argument),
    io:format("~w~n", [float(Result)]),
    halt().

run(ask, N, AtOnce) ->
    Echo = remote(echo),
    N / seconds(fun() -> ask(Echo, N, list_to_integer(AtOnce)) end);
run(tell, N, Kind) ->
    Counter = remote(counter),
    Message = sample(list_to_atom(Kind)),
    N / seconds(fun() ->
        tell(Counter, Message, N),
        Counter ! {get, self()},
        receive {count, N} -> ok end
    end);
run(latency, N, PerCent) ->
    Echo = remote(echo),
    Rate = N / seconds(fun() -> ask(Echo, N, 1000) end) / 2,
    Self = self(),
    Collector = spawn(fun() -> Self ! {latencies, collect(N)} end),
    bursts(Echo, Collector, erlang:monotonic_time(nanosecond), Rate, N, 1, 0),
    receive {latencies, Latencies} -> percentile(lists:sort(Latencies), PerCent) / 1.0e6 end.

sample(int) -> 123456;
sample(str) -> <<"apples">>;
sample(tuple) -> {<<"apples">>, 3};
sample(dict) -> #{<<"item">> => <<"apples">>, <<"amount">> => 3};
sample(message) -> {order, <<"apples">>, 3};
sample(kib) -> binary:copy(<<0>>, 1024);
sample(mib) -> binary:copy(<<0>>, 1024 * 1024).

seconds(Fun) ->
    Started = erlang:monotonic_time(nanosecond),
    Fun(),
    (erlang:monotonic_time(nanosecond) - Started) / 1.0e9.

%% The process registered there; messages to it itself travel faster than those to its name.
remote(Name) ->
    {Name, ?STATION} ! {whereis, self()},
    receive {here, Pid} -> Pid after 5000 -> halt(1) end.

ask(_, N, _) when N =< 0 -> ok;
ask(Echo, N, Many) ->
    Numbers = lists:seq(N - Many + 1, N),
    [Echo ! {ask, self(), Number} || Number <- Numbers],
    [receive {answer, Number} -> ok end || Number <- Numbers],
    ask(Echo, N - Many, Many).

%% A burst of questions falls due every millisecond; each carries the time at which it was due.
bursts(_, _, _, _, N, _, N) -> ok;
bursts(Echo, Collector, Began, Rate, N, Tick, Sent) ->
    Due = Began + Tick * 1000000,
    Wait = Due - erlang:monotonic_time(nanosecond),
    timer:sleep(max(0, (Wait + 999999) div 1000000)),
    Now = min(N, trunc(Rate * Tick / 1000)),
    [Echo ! {ask, Collector, Due} || _ <- lists:seq(Sent + 1, Now)],
    bursts(Echo, Collector, Began, Rate, N, Tick + 1, Now).

collect(N) ->
    [receive {answer, Due} -> erlang:monotonic_time(nanosecond) - Due end || _ <- lists:seq(1, N)].

percentile(Sorted, PerCent) ->
    {Part, _} = string:to_float(PerCent ++ ".0"),
    lists:nth(min(length(Sorted), trunc(length(Sorted) * Part / 100) + 1), Sorted).

tell(_, _, 0) -> ok;
tell(Counter, Message, N) -> Counter ! Message, tell(Counter, Message, N - 1).

echo() ->
    receive
        {whereis, From} -> From ! {here, self()};
        {ask, From, Value} -> From ! {answer, Value}
    end,
    echo().

counter(N) ->
    receive
        {whereis, From} -> From ! {here, self()}, counter(N);
        {get, From} -> From ! {count, N}, counter(N);
        _ -> counter(N + 1)
    end.
