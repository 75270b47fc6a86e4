%% Savina's programs on Erlang/OTP: `erl +S 1:1 -noshell -pa DIR -run savina main PROGRAM N`.
%%
%% The same actors, messages and amounts of work as in ../savina.py; each checks its own result. The
%% clock runs, as there, from before the first actor is made until the last one is done.
-module(savina).
-export([main/1]).

main([Program, N]) ->
    Started = erlang:monotonic_time(nanosecond),
    Check = run(list_to_atom(Program), list_to_integer(N)),
    Elapsed = erlang:monotonic_time(nanosecond) - Started,
    true = Check(),
    io:format("~w~n", [Elapsed / 1.0e9]),
    halt().

%% Each returns when the work is done, with the check of its result.
run(chameneos, Meetings) ->
    Self = self(),
    Mall = spawn(fun() -> mall(Meetings, none, 0, 0, Self) end),
    Colours = {blue, red, yellow},
    [spawn(fun() -> creature(Mall, element(I rem 3 + 1, Colours), 0) end) ! start
        || I <- lists:seq(0, 99)],
    Counted = receive {done, Total} -> Total end,
    fun() -> Counted =:= 2 * Meetings end;
run(big, Pings) ->
    Self = self(),
    Sink = spawn(fun() -> sink(100, Self) end),
    Nodes = [spawn(fun() -> seed(I), node(Sink, Pings, {}) end) || I <- lists:seq(0, 99)],
    [Node ! {others, list_to_tuple(Nodes)} || Node <- Nodes],
    [Node ! start || Node <- Nodes],
    receive done -> fun() -> true end end;
run(fork_join_throughput, Messages) ->
    Self = self(),
    Workers = [spawn(fun() -> sines(Messages, Self) end) || _ <- lists:seq(1, 60)],
    rounds(Messages, Workers),
    wait(60),
    fun() -> true end;
run(fork_join_creation, Actors) ->
    Self = self(),
    start(Actors, Self),
    wait(Actors),
    fun() -> true end;
run(bank_transaction, Transactions) ->
    Self = self(),
    Accounts = [spawn(fun() -> account(0, Self) end) || _ <- lists:seq(1, 100)],
    %% On its heap, each collection would look at all the answers that wait for the teller.
    spawn_opt(
        fun() -> seed(1), teller(list_to_tuple(Accounts), Transactions) end,
        [{message_queue_data, off_heap}]
    ),
    Balances = [receive {balance, Balance} -> Balance end || _ <- Accounts],
    fun() -> lists:sum(Balances) =:= 0 andalso lists:any(fun(B) -> B =/= 0 end, Balances) end;
run(concurrent_dictionary, Operations) ->
    Self = self(),
    Dictionary = spawn(fun() -> dictionary(#{}) end),
    [spawn(fun() -> seed(I), worker(Dictionary, Operations, Self) end) ! {value, none}
        || I <- lists:seq(0, 19)],
    wait(20),
    fun() -> true end;
run(sieve, Limit) ->
    Self = self(),
    First = spawn(fun() -> filter([], 0, none, Self) end),
    numbers(2, Limit, First),
    First ! 0,
    Found = primes([]),
    fun() ->
        Found =:= [N || N <- lists:seq(2, Limit - 1), is_prime(N, 2)]
    end;
run(quicksort, Count) ->
    Self = self(),
    rand:seed(exsss, 1),
    Numbers = [X || <<X:32>> <= rand:bytes(4 * Count)],
    spawn(fun() -> sorter(Self, 0) end) ! Numbers,
    Sorted = receive {0, Result} -> Result end,
    fun() -> Sorted =:= lists:sort(Numbers) end.

wait(0) -> ok;
wait(N) -> receive done -> wait(N - 1) end.

seed(Number) -> rand:seed(exsss, Number).

choice(Tuple) -> element(rand:uniform(tuple_size(Tuple)), Tuple).

mall(Left, Waiting, Counted, Reports, Main) ->
    receive
        Met when is_integer(Met), Reports =:= 99 ->
            Main ! {done, Counted + Met};
        Met when is_integer(Met) ->
            mall(Left, Waiting, Counted + Met, Reports + 1, Main);
        {Creature, _} when Left =:= 0 ->
            Creature ! stop,
            mall(Left, Waiting, Counted, Reports, Main);
        Visitor when Waiting =:= none ->
            mall(Left, Visitor, Counted, Reports, Main);
        {Creature, Colour} ->
            {Other, OtherColour} = Waiting,
            Other ! Colour,
            Creature ! OtherColour,
            mall(Left - 1, none, Counted, Reports, Main)
    end.

creature(Mall, Colour, Met) ->
    receive
        stop ->
            Mall ! Met;
        start ->
            Mall ! {self(), Colour},
            creature(Mall, Colour, Met);
        Other ->
            New = complement(Colour, Other),
            Mall ! {self(), New},
            creature(Mall, New, Met + 1)
    end.

complement(Same, Same) -> Same;
complement(One, Other) ->
    [Third] = [blue, red, yellow] -- [One, Other],
    Third.

node(Sink, Left, Others) ->
    receive
        {others, All} ->
            node(Sink, Left, All);
        {ping, From} ->
            From ! pong,
            node(Sink, Left, Others);
        _ when Left =:= 0 ->
            Sink ! done,
            node(Sink, Left, Others);
        _ ->
            choice(Others) ! {ping, self()},
            node(Sink, Left - 1, Others)
    end.

sink(0, Main) -> Main ! done;
sink(Left, Main) -> receive done -> sink(Left - 1, Main) end.

sines(0, Main) -> Main ! done;
sines(Left, Main) ->
    receive X -> _ = math:sin(X) end,
    sines(Left - 1, Main).

rounds(0, _) -> ok;
rounds(Left, Workers) ->
    [Worker ! 37.2 || Worker <- Workers],
    rounds(Left - 1, Workers).

start(0, _) -> ok;
start(Left, Main) ->
    spawn(fun() -> sines(1, Main) end) ! 37.2,
    start(Left - 1, Main).

account(Balance, Main) ->
    receive
        {debit, Amount, Target, Teller} ->
            Target ! {credit, Amount, self(), Teller},
            account(Balance - Amount, Main);
        {credit, Amount, Source, Teller} ->
            Source ! {credited, Teller},
            account(Balance + Amount, Main);
        {credited, Teller} ->
            Teller ! transferred,
            account(Balance, Main);
        close ->
            Main ! {balance, Balance}
    end.

teller(Accounts, Transactions) ->
    transfer(Accounts, Transactions),
    transferred(Transactions),
    [Account ! close || Account <- tuple_to_list(Accounts)].

transfer(_, 0) -> ok;
transfer(Accounts, Left) ->
    {Source, Target} = two_of(Accounts),
    Source ! {debit, rand:uniform(1000) - 1, Target, self()},
    transfer(Accounts, Left - 1).

two_of(Tuple) ->
    case {choice(Tuple), choice(Tuple)} of
        {Same, Same} -> two_of(Tuple);
        Two -> Two
    end.

transferred(0) -> ok;
transferred(Left) -> receive transferred -> transferred(Left - 1) end.

dictionary(Data) ->
    receive
        {Sender, Key, none} ->
            Sender ! {value, maps:get(Key, Data, none)},
            dictionary(Data);
        {Sender, Key, Value} ->
            Sender ! {value, Value},
            dictionary(Data#{Key => Value})
    end.

worker(_, 0, Main) ->
    receive {value, _} -> Main ! done end;
worker(Dictionary, Left, Main) ->
    receive {value, _} -> ok end,
    Key = rand:uniform(1000) - 1,
    Value = case rand:uniform() < 0.1 of
        true -> rand:uniform(1000) - 1;
        false -> none
    end,
    Dictionary ! {self(), Key, Value},
    worker(Dictionary, Left - 1, Main).

%% The primes of one filter, at most 200, in their order.
filter(Primes, Count, Next, Main) ->
    receive
        0 ->
            Main ! {primes, Primes},
            case Next of
                none -> Main ! done;
                _ -> Next ! 0
            end;
        Number ->
            case passes(Number, Primes) of
                false ->
                    filter(Primes, Count, Next, Main);
                true when Count < 200 ->
                    filter(Primes ++ [Number], Count + 1, Next, Main);
                true ->
                    Further = case Next of
                        none -> spawn(fun() -> filter([], 0, none, Main) end);
                        _ -> Next
                    end,
                    Further ! Number,
                    filter(Primes, Count, Further, Main)
            end
    end.

passes(_, []) -> true;
passes(Number, [Prime | Primes]) -> Number rem Prime =/= 0 andalso passes(Number, Primes).

numbers(Limit, Limit, _) -> ok;
numbers(Number, Limit, First) -> First ! Number, numbers(Number + 1, Limit, First).

primes(Found) ->
    receive
        {primes, Primes} -> primes(Found ++ Primes);
        done -> Found
    end.

is_prime(Number, Divisor) when Divisor * Divisor > Number -> true;
is_prime(Number, Divisor) -> Number rem Divisor =/= 0 andalso is_prime(Number, Divisor + 1).

sorter(Above, Side) ->
    receive
        Numbers when length(Numbers) < 2000 ->
            Above ! {Side, lists:sort(Numbers)};
        Numbers ->
            Self = self(),
            Pivot = lists:nth(length(Numbers) div 2 + 1, Numbers),
            spawn(fun() -> sorter(Self, 0) end) ! [N || N <- Numbers, N < Pivot],
            spawn(fun() -> sorter(Self, 2) end) ! [N || N <- Numbers, N > Pivot],
            Same = [N || N <- Numbers, N =:= Pivot],
            Smaller = receive {0, Part0} -> Part0 end,
            Greater = receive {2, Part2} -> Part2 end,
            Above ! {Side, Smaller ++ Same ++ Greater}
    end.
