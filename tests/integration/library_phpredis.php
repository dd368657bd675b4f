<?php
// library_phpredis - phpredis as programs use it, with PHP's sessions in database 1; see libraries.py for what is
// printed.
//
// library_phpredis.php SOCKET deaths|restarts PROCESSES SOCKET-OF-SESSIONS
[, $path, , $processes, $sessions_path] = $argv;

ini_set("session.save_handler", "redis");
ini_set("session.save_path", "unix://$sessions_path?database=1&prefix=one:session:");
ini_set("session.use_cookies", "0");
ini_set("session.cache_limiter", "");
ini_set("session.use_strict_mode", "0");
ini_set("redis.session.locking_enabled", "1");
ini_set("redis.session.lock_expire", "2"); // of who was cut off, s
ini_set("redis.session.lock_wait_time", "20000");
ini_set("redis.session.lock_retries", "400");
ob_start(); // what is printed before a session begins would be a mistake

set_error_handler(function (int $level, string $text) {
	throw new RedisException($text);
});

/* Adds one to what the session knows, and gives it. */
function session_add(string $name): int
{
	session_id($name);
	try {
		if (!session_start())
			throw new RedisException("the session did not begin");
		$_SESSION["count"] = ($_SESSION["count"] ?? 0) + 1;
		$count = $_SESSION["count"];
		if (!session_write_close())
			throw new RedisException("the session was not written");
		return $count;
	} catch (RedisException $failure) {
		if (session_status() === PHP_SESSION_ACTIVE)
			@session_abort();
		throw $failure;
	}
}

class Visitor
{
	public array $said = ["rounds" => 0, "failures" => 0, "wrong" => [], "counters" => [], "equal" => [],
		"sessions" => ["all" => [0, 0]]];
	private ?Redis $zero = null;
	private ?Redis $one = null;

	function __construct(private string $path, private int $number)
	{
		$this->said["equal"][] = ["zero:a:$number", "zero:b:$number"];
		$this->said["sessions"]["of$number"] = [0, 0];
	}

	private function check(string $what, mixed $got, mixed $expected): void
	{
		if ($got !== $expected)
			$this->said["wrong"][] = "$what: " . json_encode($got) . " in place of " . json_encode($expected);
	}

	/* A persistent connection is the process's next one, too. */
	private function zero(): Redis
	{
		if ($this->zero === null) {
			$zero = new Redis();
			$zero->pconnect($this->path, 0, 0, "zero");
			$this->zero = $zero;
		}
		return $this->zero;
	}

	private function one(): Redis
	{
		if ($this->one === null) {
			$one = new Redis();
			$one->connect($this->path);
			$one->select(1);
			$this->one = $one;
		}
		return $this->one;
	}

	private function counting(string $key, callable $ask): void
	{
		$known = &$this->said["counters"][$key];
		$known ??= [0, 0];
		try {
			$got = $ask();
		} catch (RedisException $failure) {
			$known[1]++;
			throw $failure;
		}
		if (!is_int($got) || $got <= $known[0] || $got > $known[0] + $known[1] + 1)
			$this->said["wrong"][] = "$key: " . json_encode($got) . " after " . json_encode($known);
		$known = [$got, 0];
	}

	private function count(): void
	{
		$key = "zero:count:$this->number";
		$this->counting($key, fn() => $this->whole($this->zero()->incr($key)));
	}

	/* An error reply is false. */
	private function whole(mixed $reply): mixed
	{
		if ($reply === false)
			throw new RedisException($this->zero()->getLastError() ?? "false");
		return $reply;
	}

	private function transaction(): void
	{
		[$a, $b] = ["zero:a:$this->number", "zero:b:$this->number"];
		$this->counting($a, function () use ($a, $b) {
			$got = $this->whole($this->zero()->multi()->incr($a)->incr($b)->exec());
			$this->check("a transaction's two keys", $got[0], $got[1]);
			return $got[0];
		});
	}

	private function pipeline(int $round): void
	{
		$pipe = $this->zero()->multi(Redis::PIPELINE);
		$expected = [];
		for ($place = 0; $place < 10; $place++) {
			$pipe->set("zero:pipe:$this->number:$place", "$round $place")->get("zero:pipe:$this->number:$place");
			array_push($expected, true, "$round $place");
		}
		$got = $pipe->exec();
		if (!is_array($got) || in_array(false, $got, true))
			throw new RedisException("pipeline: " . $this->zero()->getLastError());
		$this->check("pipeline", $got, $expected);
	}

	private function queue(int $round): void
	{
		$name = "zero:queue:$this->number";
		$this->whole($this->zero()->del($name) + 1);
		$this->whole($this->zero()->lPush($name, $round));
		$this->check("brpop", $this->whole($this->zero()->brPop([$name], 5)), [$name, "$round"]);
	}

	private function database(int $round): void
	{
		if (!$this->one()->set("one:$this->number", $round))
			throw new RedisException("set in database 1");
		$this->check("get in database 1", $this->one()->get("one:$this->number"), "$round");
		$this->check("get in database 0", $this->zero()->get("one:$this->number"), false);
	}

	/* A session that all have, one after the other. */
	private function session(string $name): void
	{
		try {
			$count = session_add($name);
		} catch (RedisException $failure) {
			$this->said["sessions"][$name][1]++;
			throw $failure;
		}
		$this->said["sessions"][$name][0]++;
	}

	private function attempt(string $step, mixed ...$arguments): void
	{
		try {
			$this->$step(...$arguments);
		} catch (RedisException $failure) {
			$this->said["failures"]++;
			fprintf(STDERR, "%s: %s\n", $step, $failure->getMessage());
			$this->forget();
		}
	}

	/* What a client that has met an error says next must be on a new connection. */
	private function forget(): void
	{
		foreach ([$this->zero, $this->one] as $connection)
			try {
				$connection?->close();
			} catch (RedisException) {
			}
		$this->zero = $this->one = null;
	}

	function run(callable $over): array
	{
		for ($round = 0; !$over(); $round++) {
			$this->attempt("count");
			$this->attempt("transaction");
			$this->attempt("pipeline", $round);
			$this->attempt("queue", $round);
			$this->attempt("database", $round);
			$this->attempt("session", "all");
			$this->attempt("session", "of$this->number");
			$this->said["rounds"]++;
		}
		return $this->said;
	}
}

function is_over(): bool
{
	[$read, $none] = [[STDIN], []];
	return stream_select($read, $none, $none, 0) > 0 && fread(STDIN, 1) === "" && feof(STDIN);
}

function begin(string $path, int $number)
{
	[$ours, $theirs] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
	if (pcntl_fork() !== 0) {
		fclose($theirs);
		return $ours;
	}
	fwrite($theirs, json_encode((new Visitor($path, $number))->run("is_over")));
	fclose($theirs);
	posix_kill(getmypid(), SIGKILL); // no standard output is written twice
}

$visits = array_map(fn($number) => begin($path, $number), range(0, $processes - 1));
fwrite(STDOUT, "running\n");
$all = ["version" => "phpredis " . phpversion("redis"), "rounds" => 0, "failures" => 0, "wrong" => [],
	"counters" => [], "equal" => [], "sums" => new stdClass()];
$sessions = [];
foreach ($visits as $visit) {
	$said = json_decode(stream_get_contents($visit), true);
	if ($said === null) {
		$all["wrong"][] = "a process has ended";
		continue;
	}
	foreach (["rounds", "failures"] as $name)
		$all[$name] += $said[$name];
	foreach (["wrong", "counters", "equal"] as $name)
		$all[$name] = array_merge($all[$name], $said[$name]);
	foreach ($said["sessions"] as $name => [$acknowledged, $open])
		$sessions[$name] = [($sessions[$name][0] ?? 0) + $acknowledged, ($sessions[$name][1] ?? 0) + $open];
}
foreach ($sessions as $name => [$acknowledged, $open]) {
	$count = session_add($name) - 1;
	if ($count < $acknowledged || $count > $acknowledged + $open)
		$all["wrong"][] = "session $name: $count, but $acknowledged were acknowledged, and $open not";
}
fwrite(STDOUT, json_encode($all) . "\n");
