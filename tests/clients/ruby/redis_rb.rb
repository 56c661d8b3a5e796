# redis-rb, its cluster client. See ../README.md.

require "redis"

NAME = "redis_rb"
READY = 200
PATIENCE_S = 30
PAUSE_S = 0.02

def now
  Process.clock_gettime(Process::CLOCK_MONOTONIC)
end

def check(client, number)
  seen = client.get("#{NAME}:#{number}")
  abort "#{NAME}:#{number} holds #{seen.inspect}" unless seen == number.to_s
end

$stdout.sync = true
client = Redis.new(cluster: ["redis://#{ARGV.fetch(0)}"], timeout: 5)
acknowledged = errors = 0
gap = 0.0
last_success = now
stop = nil
until stop
  begin
    client.set("#{NAME}:#{acknowledged}", acknowledged)
    acknowledged += 1
    puts "ready" if acknowledged == READY
    check(client, rand(acknowledged))
    stop = client.get("clients:stop")
    gap = [gap, now - last_success].max
    last_success = now
  rescue Redis::BaseError, SystemCallError => error
    errors += 1
    abort "nothing succeeds any more: #{error.inspect}" if now - last_success > PATIENCE_S
    sleep PAUSE_S
  end
end
READY.times { check(client, rand(acknowledged)) }
puts "acknowledged=#{acknowledged} errors=#{errors} gap_ms=#{(gap * 1000).to_i}"
