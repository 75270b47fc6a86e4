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
    Result = run(list_to_atom(Case), list_to_integer(N), list_to_atom(Argument)),
    io:format("~w~n", [float(Result)]),
    halt().

run(ask, N, AtOnce) ->
    Echo = remote(echo),
    Many = list_to_integer(atom_to_list(AtOnce)),
    N / seconds(fun() -> ask(Echo, N, Many) end);
run(tell, N, Kind) ->
    Counter = remote(counter),
    Message = sample(Kind),
    N / seconds(fun() ->
        tell(Counter, Message, N),
        Counter ! {get, self()},
        receive {count, N} -> ok end
    end).

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
