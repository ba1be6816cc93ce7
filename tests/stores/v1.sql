PRAGMA application_id = 1397967181;
PRAGMA user_version = 1;
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE run (
  run_id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  scenario_name TEXT NOT NULL,
  scenario_yaml TEXT NOT NULL,
  scenario_dir TEXT NOT NULL, -- where its relative paths start
  policy TEXT NOT NULL,
  compat TEXT NOT NULL,
  cost_model TEXT NOT NULL,
  workload_origin TEXT NOT NULL,
  notes TEXT NOT NULL,
  program_commit TEXT NOT NULL,
  started_utc TEXT NOT NULL,
  seed INTEGER NOT NULL,
  digest TEXT NOT NULL,
  engine_count INTEGER NOT NULL,
  slo_ttft_ns INTEGER NOT NULL,
  slo_tpot_ns INTEGER NOT NULL,
  slo_e2e_ns INTEGER NOT NULL,
  sample_interval_ns INTEGER NOT NULL,
  wall_s REAL NOT NULL,
  requests INTEGER NOT NULL,
  completed INTEGER NOT NULL,
  refused INTEGER NOT NULL,
  rejected INTEGER NOT NULL,
  cancelled INTEGER NOT NULL,
  unfinished INTEGER NOT NULL,
  shed INTEGER NOT NULL,
  timed_out INTEGER NOT NULL,
  events INTEGER NOT NULL,
  steps INTEGER NOT NULL,
  prompt_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  prefix_query_tokens INTEGER NOT NULL,
  prefix_hit_tokens INTEGER NOT NULL,
  policy_bytes INTEGER NOT NULL,
  first_arrival_ns INTEGER NOT NULL,
  end_ns INTEGER NOT NULL,
  ttft_ms_mean REAL, ttft_ms_p50 REAL, ttft_ms_p90 REAL, ttft_ms_p95 REAL,
  ttft_ms_p99 REAL, ttft_ms_max REAL,
  tpot_ms_mean REAL, tpot_ms_p50 REAL, tpot_ms_p90 REAL, tpot_ms_p95 REAL,
  tpot_ms_p99 REAL, tpot_ms_max REAL,
  e2e_ms_mean REAL, e2e_ms_p50 REAL, e2e_ms_p90 REAL, e2e_ms_p95 REAL,
  e2e_ms_p99 REAL, e2e_ms_max REAL,
  queue_ms_mean REAL, queue_ms_p50 REAL, queue_ms_p90 REAL, queue_ms_p95 REAL,
  queue_ms_p99 REAL, queue_ms_max REAL,
  duration_s REAL, requests_per_s REAL, output_tokens_per_s REAL,
  goodput_per_s REAL, slo_ratio REAL, prefix_hit_ratio REAL,
  load_imbalance REAL, preemptions INTEGER, recomputed_tokens INTEGER,
  completed_ratio REAL, fairness_jain REAL
);
INSERT INTO run VALUES(1,'round_robin','demo','name: demo','/','round_robin','head','x','generated','','v1','2026-11-24T12:00:00Z',1,'acf90a1498954f11',4,200000000,50000000,0,5000000000,0.0,6,6,0,0,0,0,0,0,28,1370,52454,1953,52454,1760,32792,9524524,5006414984,248.0834704999999758,217.4919454999999857,422.62449049999997897,424.28388474999997014,425.61140014999995174,425.94327899999996135,7.0790869999999994632,7.1320859999999992595,7.6201438000000001338,7.7596043999999988471,7.8711728799999995942,7.8990649999999993369,2571.2529268333332765,2720.7957234999998945,4619.7657769999996161,4631.4849254999999176,4640.8602442999999765,4643.2040740000002187,29.777900333333331417,0.0,89.333700999999990696,131.95638850000000275,166.05453850000003512,174.57907599999998637,4.9968904600000003668,1.2007467540122942484,390.84306843100176821,0.60037337700614712421,0.5,0.033553208525565259012,2.7731893764987591843,0,0,1.0,NULL);
INSERT INTO run VALUES(2,'session','demo','name: demo','/','session','head','x','generated','','v1','2026-11-24T12:00:00Z',1,'e98f02c22b68cf61',4,200000000,50000000,0,5000000000,0.0,6,6,0,0,0,0,0,0,27,1194,52454,1953,52454,1760,26936,9524524,5077691341,236.6507919999999956,208.99084750000000098,458.23577549999998837,474.38202374999997347,487.29902235000002973,490.52827199999995853,7.0772459999999997037,6.8422079999999994015,7.8103194000000000229,8.0131411999999997419,8.1753986399999991618,8.2159630000000003491,2550.7068146666665598,3004.8125569999997424,4280.0530939999998736,4473.8284654999997654,4628.848762699999497,4667.6038369999996576,12.126637999999999806,0.0,36.379913999999999418,36.901096500000001299,37.318042499999997119,37.422278999999996074,5.0681668170000007123,1.1838600063191249134,385.34643205687513045,0.59193000315956245671,0.5,0.033553208525565259012,2.6412345728700850067,0,0,1.0,NULL);
CREATE TABLE engine (
  run_id INTEGER NOT NULL REFERENCES run (run_id),
  engine INTEGER NOT NULL,
  pool TEXT NOT NULL,
  description TEXT NOT NULL,
  requests INTEGER NOT NULL,
  steps INTEGER NOT NULL,
  preemptions INTEGER NOT NULL,
  prefix_query_tokens INTEGER NOT NULL,
  prefix_hit_tokens INTEGER NOT NULL,
  busy_ns INTEGER NOT NULL,
  PRIMARY KEY (run_id, engine)
) WITHOUT ROWID;
INSERT INTO engine VALUES(1,0,'h100','H100-SXM x Llama-3.1-8B, TP 1',2,328,0,17564,880,2585893399);
INSERT INTO engine VALUES(1,1,'h100','H100-SXM x Llama-3.1-8B, TP 1',2,602,0,23709,880,4890420896);
INSERT INTO engine VALUES(1,2,'h100','H100-SXM x Llama-3.1-8B, TP 1',1,1,0,1381,0,28035763);
INSERT INTO engine VALUES(1,3,'h100','H100-SXM x Llama-3.1-8B, TP 1',1,439,0,9800,0,3107062251);
INSERT INTO engine VALUES(2,0,'h100','H100-SXM x Llama-3.1-8B, TP 1',2,584,0,25800,880,4823496031);
INSERT INTO engine VALUES(2,1,'h100','H100-SXM x Llama-3.1-8B, TP 1',2,566,0,9273,880,3892502351);
INSERT INTO engine VALUES(2,2,'h100','H100-SXM x Llama-3.1-8B, TP 1',1,43,0,16000,0,706473823);
INSERT INTO engine VALUES(2,3,'h100','H100-SXM x Llama-3.1-8B, TP 1',1,1,0,1381,0,28035763);
CREATE TABLE tenant (
  run_id INTEGER NOT NULL REFERENCES run (run_id),
  tenant INTEGER NOT NULL,    -- in order of first request
  name TEXT NOT NULL,
  requests INTEGER NOT NULL,
  completed INTEGER NOT NULL,
  turned_away INTEGER NOT NULL,
  prompt_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  ttft_sum_ns INTEGER NOT NULL,
  waited_ns INTEGER NOT NULL,
  let_in_tokens REAL NOT NULL,
  PRIMARY KEY (run_id, tenant)
) WITHOUT ROWID;
CREATE TABLE request_status (
  status INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  help TEXT NOT NULL
);
INSERT INTO request_status VALUES(0,'completed','all tokens were produced');
INSERT INTO request_status VALUES(1,'refused','the prompt does not fit the model''s context: HTTP 400');
INSERT INTO request_status VALUES(2,'rejected','no endpoint accepted it: HTTP 503');
INSERT INTO request_status VALUES(3,'cancelled','the client hung up');
INSERT INTO request_status VALUES(4,'unfinished','the run''s time limit came first');
INSERT INTO request_status VALUES(5,'shed','admission turned it away: HTTP 429');
INSERT INTO request_status VALUES(6,'timed_out','waited at the gateway as long as it may: HTTP 503');
CREATE TABLE request (
  row_id INTEGER PRIMARY KEY, -- run_id << 40 | number within the run
  run_id INTEGER NOT NULL REFERENCES run (run_id),
  request_id INTEGER NOT NULL,
  session_id INTEGER NOT NULL,
  turn INTEGER NOT NULL,
  status INTEGER NOT NULL REFERENCES request_status (status),
  engine INTEGER,             -- NULL: none
  arrival_ns INTEGER NOT NULL,
  queued_ns INTEGER,          -- times are NULL when it did not happen
  scheduled_ns INTEGER,
  first_token_ns INTEGER,
  end_ns INTEGER,
  prompt_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  cached_tokens INTEGER NOT NULL,
  preemptions INTEGER NOT NULL,
  recomputed_tokens INTEGER NOT NULL
);
INSERT INTO request VALUES(1099511627776,1,2,15403,0,0,2,198422968,198422968,198422968,226458731,226458731,1381,1,0,0,0);
INSERT INTO request VALUES(1099511627777,1,0,16143,0,0,0,9524524,9524524,9524524,435467803,727883321,16000,42,0,0,0);
INSERT INTO request VALUES(1099511627778,1,4,15702,0,0,0,260888727,435467803,435467803,458123111,2595417923,1564,325,880,0,0);
INSERT INTO request VALUES(1099511627779,1,3,15934,0,0,3,254195310,254195310,254195310,491944817,3361257561,9800,438,0,0,0);
INSERT INTO request VALUES(1099511627780,1,1,15809,0,0,1,115994088,115994088,115994088,296226276,4759198162,7709,566,0,0,0);
INSERT INTO request VALUES(1099511627781,1,5,16144,0,0,1,410087504,414175830,414175830,829393206,5006414984,16000,581,880,0,0);
INSERT INTO request VALUES(2199023255552,2,2,15403,0,0,3,198422968,198422968,198422968,226458731,226458731,1381,1,0,0,0);
INSERT INTO request VALUES(2199023255553,2,0,16143,0,0,2,9524524,9524524,9524524,435467803,715998347,16000,42,0,0,0);
INSERT INTO request VALUES(2199023255554,2,4,15702,0,0,1,260888727,296226276,296226276,318304470,2442388475,1564,325,880,0,0);
INSERT INTO request VALUES(2199023255555,2,1,15809,0,0,1,115994088,115994088,115994088,296226276,4008496439,7709,566,0,0,0);
INSERT INTO request VALUES(2199023255556,2,3,15934,0,0,0,254195310,254195310,254195310,491944817,4082320676,9800,438,0,0,0);
INSERT INTO request VALUES(2199023255557,2,5,16144,0,0,0,410087504,447509783,447509783,900615776,5077691341,16000,581,880,0,0);
CREATE TABLE engine_sample (
  row_id INTEGER PRIMARY KEY, -- run_id << 40 | number within the run
  run_id INTEGER NOT NULL REFERENCES run (run_id),
  time_ns INTEGER NOT NULL,
  engine INTEGER NOT NULL,
  running_requests INTEGER NOT NULL,
  waiting_requests INTEGER NOT NULL,
  kv_used_blocks INTEGER NOT NULL,
  kv_total_blocks INTEGER NOT NULL
);
INSERT INTO engine_sample VALUES(1099511627776,1,0,0,0,0,0,25968);
INSERT INTO engine_sample VALUES(1099511627777,1,0,1,0,0,0,25968);
INSERT INTO engine_sample VALUES(1099511627778,1,0,2,0,0,0,25968);
INSERT INTO engine_sample VALUES(1099511627779,1,0,3,0,0,0,25968);
INSERT INTO engine_sample VALUES(1099511627780,1,5000000000,0,0,0,0,25968);
INSERT INTO engine_sample VALUES(1099511627781,1,5000000000,1,1,0,1037,25968);
INSERT INTO engine_sample VALUES(1099511627782,1,5000000000,2,0,0,0,25968);
INSERT INTO engine_sample VALUES(1099511627783,1,5000000000,3,0,0,0,25968);
INSERT INTO engine_sample VALUES(2199023255552,2,0,0,0,0,0,25968);
INSERT INTO engine_sample VALUES(2199023255553,2,0,1,0,0,0,25968);
INSERT INTO engine_sample VALUES(2199023255554,2,0,2,0,0,0,25968);
INSERT INTO engine_sample VALUES(2199023255555,2,0,3,0,0,0,25968);
INSERT INTO engine_sample VALUES(2199023255556,2,5000000000,0,1,0,1036,25968);
INSERT INTO engine_sample VALUES(2199023255557,2,5000000000,1,0,0,0,25968);
INSERT INTO engine_sample VALUES(2199023255558,2,5000000000,2,0,0,0,25968);
INSERT INTO engine_sample VALUES(2199023255559,2,5000000000,3,0,0,0,25968);
CREATE TABLE sweep (
  sweep_id INTEGER PRIMARY KEY CHECK (sweep_id = 1), -- a store holds one at most
  name TEXT NOT NULL,
  plan_yaml TEXT NOT NULL,
  digest TEXT NOT NULL,       -- of all that decides the runs
  run_count INTEGER NOT NULL
);
CREATE TABLE sweep_run (
  run_id INTEGER PRIMARY KEY, -- planned; in `run`, too, once it is done
  name TEXT NOT NULL UNIQUE
);
CREATE TABLE sweep_key (
  run_id INTEGER NOT NULL REFERENCES sweep_run (run_id),
  place INTEGER NOT NULL,     -- of the key in the sweep's file
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  number REAL,                -- the value where it is one, to order by
  PRIMARY KEY (run_id, key)
) WITHOUT ROWID;
CREATE VIEW v_run AS SELECT
  run_id, name AS run, scenario_name AS scenario, policy, seed, engine_count,
  requests, completed, ttft_ms_mean, ttft_ms_p50, ttft_ms_p99, tpot_ms_mean,
  tpot_ms_p99, e2e_ms_mean, e2e_ms_p99, requests_per_s, output_tokens_per_s,
  goodput_per_s, prefix_hit_ratio, load_imbalance, preemptions, wall_s
FROM run;
CREATE VIEW v_latency AS SELECT
  q.run_id, r.name AS run, r.policy, q.request_id, q.session_id, q.turn,
  q.engine, q.prompt_tokens, q.output_tokens, q.cached_tokens, q.preemptions,
  q.arrival_ns / 1e9 AS arrival_s,
  (q.scheduled_ns - q.arrival_ns) / 1e6 AS queue_ms,
  (q.first_token_ns - q.arrival_ns) / 1e6 AS ttft_ms,
  CASE WHEN q.output_tokens > 1 THEN
    (q.end_ns - q.first_token_ns) / 1e6 / (q.output_tokens - 1) END AS tpot_ms,
  (q.end_ns - q.arrival_ns) / 1e6 AS e2e_ms
FROM request q JOIN run r USING (run_id) WHERE q.status = 0;
CREATE VIEW v_goodput AS SELECT
  l.run_id, l.run, l.policy, count(*) AS completed,
  sum((r.slo_ttft_ns = 0 OR l.ttft_ms <= r.slo_ttft_ns / 1e6)
    AND (r.slo_tpot_ns = 0 OR coalesce(l.tpot_ms, 0) <= r.slo_tpot_ns / 1e6)
    AND (r.slo_e2e_ns = 0 OR l.e2e_ms <= r.slo_e2e_ns / 1e6)) AS within_slo
FROM v_latency l JOIN run r USING (run_id) GROUP BY l.run_id;
CREATE VIEW v_status AS SELECT
  q.run_id, r.name AS run, s.name AS status, count(*) AS requests, s.help
FROM request q JOIN run r USING (run_id) JOIN request_status s USING (status)
GROUP BY q.run_id, q.status;
CREATE VIEW v_engine_load AS SELECT
  s.run_id, r.name AS run, r.policy, s.engine, s.time_ns / 1e9 AS time_s,
  s.running_requests + s.waiting_requests AS in_flight_requests,
  s.running_requests, s.waiting_requests,
  s.kv_used_blocks * 1.0 / s.kv_total_blocks AS kv_used_ratio
FROM engine_sample s JOIN run r USING (run_id);
CREATE VIEW v_tenant AS SELECT
  t.run_id, r.name AS run, r.policy, t.name AS tenant, t.requests, t.completed,
  t.turned_away, t.prompt_tokens, t.output_tokens,
  CASE WHEN t.completed > 0 THEN t.ttft_sum_ns / 1e6 / t.completed END
    AS ttft_ms_mean,
  t.waited_ns / 1e9 AS waited_s,
  CASE WHEN t.waited_ns > 0 THEN t.let_in_tokens * 1e9 / t.waited_ns END
    AS let_in_tokens_per_s
FROM tenant t JOIN run r USING (run_id);
CREATE VIEW v_engine AS SELECT
  e.run_id, r.name AS run, r.policy, e.engine, e.pool, e.requests, e.steps,
  e.preemptions, e.busy_ns / 1e9 AS busy_s,
  e.busy_ns / 1e9 / r.duration_s AS busy_ratio,
  CASE WHEN e.prefix_query_tokens > 0 THEN
    e.prefix_hit_tokens * 1.0 / e.prefix_query_tokens END AS prefix_hit_ratio
FROM engine e JOIN run r USING (run_id);
CREATE VIEW v_sweep AS SELECT
  s.run_id, s.name AS run, r.run_id IS NOT NULL AS done,
  (SELECT group_concat(key || '=' || value, ' ') FROM (SELECT key, value FROM
    sweep_key k WHERE k.run_id = s.run_id ORDER BY place)) AS keys,
  r.policy, r.seed, r.ttft_ms_mean, r.ttft_ms_p50, r.ttft_ms_p99, r.tpot_ms_mean,
  r.tpot_ms_p99, r.e2e_ms_mean, r.e2e_ms_p99, r.requests_per_s,
  r.output_tokens_per_s, r.goodput_per_s, r.slo_ratio
FROM sweep_run s LEFT JOIN run r USING (run_id);
COMMIT;
