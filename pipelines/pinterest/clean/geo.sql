-- One raw geolocation to one clean one. Times carry no zone and mean UTC; both `2020-08-28T03:52:47` and
-- `2020-08-28 03:52:47` are taken.
SELECT
  coalesce(ind, "index") AS ind,
  country,
  CASE WHEN latitude IS NOT NULL OR longitude IS NOT NULL THEN make_array(latitude, longitude) END AS coordinates,
  try_cast("timestamp" AS TIMESTAMP(6)) AS "timestamp",
  CASE WHEN "timestamp" IS NOT NULL AND try_cast("timestamp" AS TIMESTAMP(6)) IS NULL THEN 'timestamp is not a date and time' END
    AS _quarantine
FROM raw
