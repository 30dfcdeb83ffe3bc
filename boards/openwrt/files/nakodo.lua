-- A collector for prometheus-node-exporter-lua: the metrics of GET /metrics that `nakodo status` has, and nakodo_up.
-- The status has no sides and families of peers, no durations and no state of the clock.

local json = require "luci.jsonc"

local function read_status()
  local pipe = io.popen("/usr/bin/nakodo status --json 2>/dev/null")
  if not pipe then
    return nil
  end
  local text = pipe:read("*a")
  pipe:close()
  local status = text and json.parse(text)
  return type(status) == "table" and status or nil
end

-- Write one sample for each row {counter, {label = value}}. One call of metric(), because each writes a TYPE line.
local function family(name, kind, counters, rows)
  local sample = metric(name, kind)
  for _, row in ipairs(rows) do
    if counters[row[1]] then
      sample(row[2], counters[row[1]])
    end
  end
end

-- "refused_torrent" is the reason "torrent"; "tickets_forged" is "ticket_forged".
local function reason_of(counter)
  if counter == "tickets_known" or counter == "tickets_added" or counter == "tickets_moved" then
    return nil
  end
  local refused = counter:match("^refused_(.+)$")
  if refused then
    return refused
  end
  local ticket = counter:match("^tickets_(.+)$")
  return ticket and "ticket_" .. ticket
end

local function requests(counters)
  family("nakodo_requests_total", "counter", counters, {
    { "connects_udp", { transport = "udp", kind = "connect" } },
    { "announces_udp", { transport = "udp", kind = "announce" } },
    { "scrapes_udp", { transport = "udp", kind = "scrape" } },
    { "announces_http", { transport = "http", kind = "announce" } },
    { "scrapes_http", { transport = "http", kind = "scrape" } },
  })
  family("nakodo_announces_wan_total", "counter", counters, {
    { "announces_wan_udp", { transport = "udp" } },
    { "announces_wan_http", { transport = "http" } },
  })
  family("nakodo_announces_granted_total", "counter", counters, {
    { "announces_seeder", { role = "seeder" } },
    { "announces_leecher", { role = "leecher" } },
  })
  metric("nakodo_downloads_completed_total", "counter", nil, counters.downloads_completed)
  local refusals = {}
  for counter in pairs(counters) do
    local reason = reason_of(counter)
    if reason then
      table.insert(refusals, { counter, { reason = reason } })
    end
  end
  family("nakodo_refusals_total", "counter", counters, refusals)
  family("nakodo_discarded_total", "counter", counters, {
    { "udp_malformed", { reason = "udp_malformed" } },
    { "udp_bad_connection_id", { reason = "udp_bad_connection_id" } },
    { "udp_source_port_zero", { reason = "udp_source_port_zero" } },
    { "udp_replies_dropped", { reason = "udp_reply_dropped" } },
    { "http_bad_requests", { reason = "http_bad_request" } },
    { "http_bad_parameters", { reason = "http_bad_parameters" } },
    { "http_not_found", { reason = "http_not_found" } },
    { "http_connections_timed_out", { reason = "http_timed_out" } },
    { "http_connections_given_up", { reason = "http_given_up" } },
  })
end

local function tables(status)
  local memory, whitelist, counters = status.memory, status.whitelist, status.counters
  metric("nakodo_swarms", "gauge", nil, memory.swarms)
  family("nakodo_peers", "gauge", memory, {
    { "seeders", { role = "seeder" } },
    { "leechers", { role = "leecher" } },
  })
  local lines = metric("nakodo_pool_lines", "gauge")
  lines({ state = "used" }, memory.lines_in_use)
  lines({ state = "free" }, memory.lines - memory.lines_in_use)
  family("nakodo_peers_removed_total", "counter", counters, {
    { "peers_expired", { reason = "expired" } },
    { "peers_evicted_stale", { reason = "evicted_stale" } },
    { "peers_evicted_greedy", { reason = "evicted_greedy" } },
    { "peers_revoked", { reason = "revoked" } },
  })
  metric("nakodo_peers_not_stored_total", "counter", nil, counters.peers_not_stored)
  metric("nakodo_whitelist_entries", "gauge", nil, whitelist.entries)
  metric("nakodo_whitelist_capacity_entries", "gauge", nil, whitelist.capacity)
  metric("nakodo_whitelist_retired_total", "counter", nil, counters.entries_retired)
  family("nakodo_logins_total", "counter", counters, {
    { "tickets_added", { kind = "added" } },
    { "tickets_moved", { kind = "moved" } },
  })
  metric("nakodo_http_connections", "gauge", nil, status.http_connections.entries)
end

local function disk(status)
  metric("nakodo_flash_written_bytes_total", "counter", nil, status.flash.octets_written)
  metric("nakodo_disk_failing", "gauge", nil, status.disk.failing and 1 or 0)
  metric("nakodo_disk_failures_total", "counter", nil, status.disk.failures)
  metric("nakodo_disk_recovered", "gauge", nil, status.disk.recovered and 1 or 0)
  metric("nakodo_warnings", "gauge", nil, #status.warnings)
end

local function scrape()
  local status = read_status()
  metric("nakodo_up", "gauge", nil, status and 1 or 0)
  if not status then
    return
  end
  metric("nakodo_build_info", "gauge", { version = status.version }, 1)
  metric("nakodo_uptime_seconds", "gauge", nil, status.uptime_seconds)
  requests(status.counters)
  tables(status)
  disk(status)
end

return { scrape = scrape }
