-- One raw pin to one clean pin. Row-local: no join, aggregate or filter. A row whose _quarantine is not null goes to
-- quarantine.pin with that reason.
SELECT
  coalesce("index", ind) AS ind,
  unique_id,
  CASE WHEN title IN ('No Title Data Available', 'Untitled', '') THEN NULL ELSE title END AS title,
  CASE WHEN description IN ('Untitled', '') OR description LIKE 'No description available%' THEN NULL ELSE description END
    AS description,
  CASE
    WHEN follower_count IN ('User Info Error', '') THEN NULL
    ELSE human_number(follower_count)
  END AS follower_count,
  CASE WHEN poster_name IN ('User Info Error', '') THEN NULL ELSE poster_name END AS poster_name,
  CASE WHEN tag_list IN ('N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e', '') THEN NULL ELSE tag_list END AS tag_list,
  nullif(is_image_or_video, '') AS is_image_or_video,
  CASE WHEN image_src IN ('Image src error.', '') THEN NULL ELSE image_src END AS image_src,
  CASE
    WHEN save_location = '' THEN NULL
    WHEN save_location LIKE 'Local save in %' THEN substr(save_location, 15)
    ELSE save_location
  END AS save_location,
  nullif(category, '') AS category,
  CASE
    WHEN follower_count NOT IN ('User Info Error', '') AND human_number(follower_count) IS NULL
      THEN 'follower_count is not a number with an optional k, M or B'
  END AS _quarantine
FROM raw
